"""Open Image Denoise, called directly in the library that comes with bpy, on the CPU.

Cycles calls it with guides of its own, which are as noisy as the picture; this module takes clean ones. C interface:
oidn.h of Open Image Denoise 2. The library is found by its name only because importing bpy has loaded it.
"""

import ctypes
import functools
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

LIBRARY = "libOpenImageDenoise.so.2"
# Values of oidn.h.
CPU, FLOAT3, OUT_OF_MEMORY = 1, 3, 4
FAST, HIGH = 4, 6  # the denoiser's quality
POINTER, TEXT, SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
# Of the denoiser; a picture in 4K would take 1,900 otherwise, for the same pixels in 0.8 of the time.
MAX_MEMORY_MB = 512
MARGIN_PIXELS = 8  # of mirrored picture around the picture: the outermost rows of an output have a cast of colour
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "oidnNewDevice": (POINTER, [ctypes.c_int]),
    "oidnSetDeviceInt": (None, [POINTER, TEXT, ctypes.c_int]),
    "oidnSetDeviceBool": (None, [POINTER, TEXT, ctypes.c_bool]),
    "oidnCommitDevice": (None, [POINTER]),
    "oidnGetDeviceError": (ctypes.c_int, [POINTER, ctypes.POINTER(TEXT)]),
    "oidnNewFilter": (POINTER, [POINTER, TEXT]),
    "oidnSetSharedFilterImage": (None, [POINTER, TEXT, POINTER, ctypes.c_int, SIZE, SIZE, SIZE, SIZE, SIZE]),
    "oidnSetFilterBool": (None, [POINTER, TEXT, ctypes.c_bool]),
    "oidnSetFilterInt": (None, [POINTER, TEXT, ctypes.c_int]),
    "oidnCommitFilter": (None, [POINTER]),
    "oidnExecuteFilter": (None, [POINTER]),
    "oidnReleaseFilter": (None, [POINTER]),
}


def denoise(colours: Plane, albedo: Plane, normals: Plane, quality: int) -> Plane:
    """The colours without noise, in linear light; all have the shape (height, width, 3).

    `albedo` (0 to 1) and `normals` are taken to be free of noise; `quality` is FAST or HIGH. Raises MemoryError.
    """
    library, device = _library(), _device(bpy.context.scene.render.threads)
    margin = (MARGIN_PIXELS, MARGIN_PIXELS)
    inputs = {b"color": colours, b"albedo": albedo, b"normal": normals}
    # Named, because the filter reads and writes them by address.
    images = {
        name: np.ascontiguousarray(np.pad(image, (margin, margin, (0, 0)), "symmetric"), np.float32)
        for name, image in inputs.items()
    }
    images[b"output"] = clean = np.empty_like(images[b"color"])
    height, width, _ = clean.shape
    filter_ = library.oidnNewFilter(device, b"RT")
    for name, image in images.items():
        library.oidnSetSharedFilterImage(filter_, name, image.ctypes.data, FLOAT3, width, height, 0, 0, 0)
    library.oidnSetFilterBool(filter_, b"hdr", True)
    library.oidnSetFilterBool(filter_, b"cleanAux", True)
    library.oidnSetFilterInt(filter_, b"quality", quality)
    library.oidnSetFilterInt(filter_, b"maxMemoryMB", MAX_MEMORY_MB)
    library.oidnCommitFilter(filter_)
    library.oidnExecuteFilter(filter_)
    library.oidnReleaseFilter(filter_)
    _check(device)
    return clean[MARGIN_PIXELS:-MARGIN_PIXELS, MARGIN_PIXELS:-MARGIN_PIXELS]


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(LIBRARY)
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@functools.cache
def _device(threads: int) -> int:
    """A device for `threads` threads, which are not bound to cores: other hosts use the same ones."""
    library = _library()
    device = library.oidnNewDevice(CPU)
    library.oidnSetDeviceInt(device, b"numThreads", threads)
    library.oidnSetDeviceBool(device, b"setAffinity", False)
    library.oidnCommitDevice(device)
    _check(device)
    return int(device)


def _check(device: int | None) -> None:
    """Raise the device's first error since the last check; without a device, that of its creation."""
    message = TEXT()
    code = _library().oidnGetDeviceError(device, ctypes.byref(message))
    if code:
        text = (message.value or b"").decode(errors="replace")
        raise MemoryError(text) if code == OUT_OF_MEMORY else RuntimeError(f"Open Image Denoise: {text}")
