"""Reads the source of a project tree for breaches of its layers (app -> demos -> methods -> shared) and bans.

`violations(root)` parses every module below a root; nothing of the project is imported for it. test_imports.py holds
the project to it, and plants each kind of breach to show that it is seen.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

METHODS = ("inbetween", "jumpcut", "zoom", "dance")
# A module imports its own layer and those below. `mini` trains the methods' models, so it stands above them.
LAYERS = {"shared": 0, "method": 1, "mini": 2, "demos": 3, "app": 4, "outside": 5}
HEAVY = ("torch", "torchvision", "gradio", "diffusers", "transformers", "accelerate", "spaces")
PICKLES = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")
LOADERS = re.compile(r"hub|svd|load\w*")  # modules that bring weights; samplers take callables and tensors
GLOBAL_SEEDS = ("numpy.random.seed", "torch.manual_seed", "torch.seed", "torch.cuda.manual_seed_all", "random.seed")
SEEDED = "tests/conftest.py"  # which gives every test the same draws; code and single tests take generators
MOST_LINES = 330


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, syntax tree and text."""

    path: str  # relative to the root, with forward slashes
    name: str
    tree: ast.Module
    text: str

    @property
    def layer(self) -> str:
        return layer_of(self.name)


@dataclass(frozen=True)
class Import:
    """One imported name, absolute; `at_import` where it happens as soon as the module is imported."""

    target: str
    line: int
    at_import: bool
    as_script: bool  # only where the file is run by itself, below `if __name__ == "__main__"`


def layer_of(name: str) -> str:
    first, *rest = name.split(".")
    if first == "genkey_core":
        if rest and rest[0] in METHODS:
            return "method"
        return "mini" if rest and rest[0] == "mini" else "shared"
    return first if first in ("app", "demos") else "outside"


def modules(root: Path) -> Iterator[Module]:
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if relative.parts[0] not in ("app.py", "demos", "genkey_core", "benchmarks", "tests"):
            continue
        text = path.read_text(encoding="utf-8")
        name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        yield Module(relative.as_posix(), name, ast.parse(text, str(path)), text)


def imports(module: Module) -> Iterator[Import]:
    """Every import, also those inside functions and by `import_module("literal")`; not those for type checkers."""
    package = module.name if module.path.endswith("__init__.py") else module.name.rpartition(".")[0]

    def visit(node: ast.AST, at_import: bool, as_script: bool) -> Iterator[Import]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            at_import, as_script = False, True
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_import, as_script) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).strip(".")
            yield from (Import(f"{base}.{alias.name}", node.lineno, at_import, as_script) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield Import(node.args[0].value, node.lineno, at_import, as_script)
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, at_import and not inside, as_script)

    return visit(module.tree, True, False)


def dotted_names(module: Module) -> Iterator[tuple[str, ast.expr]]:
    """Every name and attribute chain, with import aliases resolved: `np.random.seed` is numpy.random.seed."""
    known = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            known |= {
                a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in node.names
            }
        elif isinstance(node, ast.ImportFrom) and not node.level:
            known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}

    def dotted(node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return known.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{dotted(node.value) or '?'}.{node.attr}"
        return None

    for node in ast.walk(module.tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and (name := dotted(node)):
            yield name, node


def violations(root: Path) -> list[str]:
    """Every breach of the rules below `root`, as "path:line: what"."""
    found = []
    for module in modules(root):
        checks = [import_breaches(module), pickle_breaches(module), file_breaches(module)]
        if module.layer != "outside":
            checks.append(device_breaches(module))
        found += [f"{module.path}:{line}: {what}" for check in checks for line, what in check]
    return found


def import_breaches(module: Module) -> Iterator[tuple[int, str]]:
    in_runtime = module.name == "genkey_core.runtime"
    for item in imports(module):
        target, outermost = item.target, item.target.split(".")[0]
        if outermost in PICKLES:
            yield item.line, f"imports {outermost}"
        if module.layer == "outside":
            continue
        # A demo run by itself starts the page that the app would: the one way up, and only as a script.
        if outermost in ("genkey_core", "demos", "app") and not (item.as_script and module.layer == "demos"):
            yield from ((item.line, what) for what in layer_breaches(module, target))
        if outermost in ("tests", "benchmarks"):
            yield item.line, f"imports {outermost}, which is not shipped as a part"
        if outermost == "gradio" and module.layer not in ("app", "demos"):
            yield item.line, "imports gradio below the demos"
        if outermost == "spaces" and not in_runtime:
            yield item.line, "imports spaces, which runtime.py alone does"
        if outermost in HEAVY and module.layer == "shared" and item.at_import:
            yield item.line, f"imports {outermost} when it is imported itself"
        is_loader = outermost in ("huggingface_hub", "transformers") or (
            outermost == "genkey_core" and any(LOADERS.fullmatch(part) for part in target.split("."))
        )
        if is_loader and module.name.endswith(".sampling"):
            yield item.line, f"a sampler imports the loader {target}"


def layer_breaches(module: Module, target: str) -> Iterator[str]:
    if LAYERS[layer_of(target)] > LAYERS[module.layer]:
        yield f"imports upwards: {target}"
    own, other = module.name.split(".")[1:2], target.split(".")[1:2]
    if module.layer == layer_of(target) == "method" and own != other:
        yield f"a method imports another method: {target}"
    if module.name == "genkey_core":
        yield f"the package imports {target} when it is imported itself"


def pickle_breaches(module: Module) -> Iterator[tuple[int, str]]:
    """Loading that may unpickle, global seeds, and weights loaded inside a sampler."""
    named = {id(node): name for name, node in dotted_names(module)}
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        name = named.get(id(node.func), "")
        given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        if name == "torch.load" and given.get("weights_only") is not True:
            yield node.lineno, "torch.load without weights_only=True"
        if name == "numpy.load" and given.get("allow_pickle") is not False:
            yield node.lineno, "numpy.load without allow_pickle=False"
        if given.get("allow_pickle") is True:
            yield node.lineno, "allow_pickle=True"
        if name in GLOBAL_SEEDS and module.path != SEEDED:
            yield node.lineno, f"seeds globally: {name}"
        if module.name.endswith(".sampling") and name.endswith(".from_pretrained"):
            yield node.lineno, "a sampler loads weights"


def device_breaches(module: Module) -> Iterator[tuple[int, str]]:
    """The GPU backend by name: in strings other than docstrings, and as an attribute."""
    if module.name == "genkey_core.runtime":
        return
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {id(node.body[0].value) for node in ast.walk(module.tree) if _has_docstring(node, documented)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            if re.search(r"\bcuda\b", node.value):
                yield node.lineno, "says cuda"
        elif isinstance(node, ast.Attribute) and node.attr == "cuda":
            yield node.lineno, "says cuda"


def _has_docstring(node: ast.AST, kinds: tuple[type, ...]) -> bool:
    return isinstance(node, kinds) and bool(node.body) and ast.get_docstring(node, clean=False) is not None


def file_breaches(module: Module) -> Iterator[tuple[int, str]]:
    if not ast.get_docstring(module.tree) and not module.name.split(".")[-1].startswith("_"):
        yield 1, "has no docstring"
    if (count := len(module.text.splitlines())) >= MOST_LINES:
        yield count, f"has {count} lines, {MOST_LINES} are too many"
