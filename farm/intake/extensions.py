"""Which glTF extensions Blender's importer understands, and what to do about those that it lacks."""

# Source: `extensions_managed` in io_scene_gltf2/io/imp/gltf2_io_gltf.py of Blender 4.5 (the add-on inside bpy 4.5.15).
# tests/intake/test_extensions.py compares the two, so a newer Blender cannot leave this list behind unnoticed.
SUPPORTED = frozenset(
    {
        "EXT_mesh_gpu_instancing",
        "EXT_texture_webp",
        "KHR_animation_pointer",
        "KHR_draco_mesh_compression",
        "KHR_lights_punctual",
        "KHR_materials_anisotropy",
        "KHR_materials_clearcoat",
        "KHR_materials_emissive_strength",
        "KHR_materials_ior",
        "KHR_materials_pbrSpecularGlossiness",
        "KHR_materials_sheen",
        "KHR_materials_specular",
        "KHR_materials_transmission",
        "KHR_materials_unlit",
        "KHR_materials_variants",
        "KHR_materials_volume",
        "KHR_mesh_quantization",
        "KHR_texture_transform",
    }
)

MENDS = {
    "EXT_meshopt_compression": "export without meshopt compression (Draco is fine)",
    "KHR_meshopt_compression": "export without meshopt compression (Draco is fine)",
    "KHR_texture_basisu": "export the textures as PNG or JPEG instead of KTX2",
    "MSFT_texture_dds": "export the textures as PNG or JPEG instead of DDS",
    "EXT_texture_avif": "export the textures as PNG or JPEG instead of AVIF",
    "KHR_gaussian_splatting": "export a mesh instead of splats",
    "KHR_xmp_json_ld": "export without XMP metadata",
}


def mend(extension: str) -> str:
    """What to tell the owner of a file that cannot do without this extension."""
    return MENDS.get(extension, "export again without it")
