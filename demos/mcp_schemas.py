"""Inputs whose schemas MCP clients accept: Gradio's own of a list of files and of JSON are refused by every validator."""

from __future__ import annotations

import gradio as gr


def image_list(label: str) -> gr.File:
    """Several files; over MCP each is an address of an upload here, or a data: text."""
    files = gr.File(file_count="multiple", type="filepath", label=label)
    schema = files.data_model.model_json_schema()  # its references point to the schema's own root, which MCP moves
    items = _inlined(schema["items"], schema["$defs"])
    files.api_info = lambda: {"type": "array", "items": items, "title": schema["title"]}
    return files


def object_list(label: str) -> gr.JSON:
    """A list of JSON objects; Gradio's own schema of JSON names no type."""
    values = gr.JSON(None, label=label)
    values.api_info = lambda: {"type": "array", "items": {"type": "object"}}
    return values


def _inlined(node: object, definitions: dict) -> object:
    """A schema with every reference replaced by what it refers to."""
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = {**definitions[node["$ref"].rsplit("/", 1)[-1]], **{k: v for k, v in node.items() if k != "$ref"}}
    return {key: _inlined(value, definitions) for key, value in node.items()}
