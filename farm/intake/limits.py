"""What a document stands for: counts the work and memory that a small file can demand of Blender.

Blender builds every use of an accessor separately, so everything is counted per use: for each primitive, each node that
shows its mesh, and each instance of that node. All functions require a document that has passed check_schema.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from farm.errors import InvalidFormat
from farm.intake.binary import COMPONENTS, JsonObject
from farm.settings import ModelLimits

NUMBER_BYTES = 4  # Blender's importer converts all numbers to 32 bits
VECTOR_BYTES = 3 * NUMBER_BYTES
# The importer holds joints and weights as Python lists: one of 88 bytes a vertex, and 24 for each of four floats.
SKINNING_BYTES = {"JOINTS": 88, "WEIGHTS": 184}
PER_CORNER = ("TEXCOORD", "COLOR")  # Blender stores these for each corner of a triangle, others for each vertex
STRIPS = (5, 6)  # primitive modes: triangle strip and fan, of which each vertex but two makes a triangle
TRIANGLES = 4
MAX_SHOWN = 10**15

Counts = Mapping[int, int]  # elements by accessor


@dataclass
class _Mesh:
    """What one use of a mesh takes."""

    vertices: int = 0
    corners: int = 0
    targets: int = 0
    copied_bytes: int = 0
    # Of an element. A mesh has each of its primitives' attributes for all vertices, zeros where a primitive lacks it.
    attribute_bytes: dict[str, int] = field(default_factory=dict)

    @property
    def triangles(self) -> int:
        return self.corners // 3

    @property
    def morph_vertices(self) -> int:
        return self.targets * self.vertices

    @property
    def decoded_bytes(self) -> int:
        """The bytes of corners, attributes (positions among them) and morph targets."""
        attributes = sum(
            size * (self.corners if _base(name) in PER_CORNER else self.vertices)
            for name, size in self.attribute_bytes.items()
        )
        return self.copied_bytes + self.corners * NUMBER_BYTES + self.morph_vertices * VECTOR_BYTES + attributes


def check_structure(document: JsonObject, limits: ModelLimits) -> None:
    """Raises InvalidFormat: too many nodes, meshes, primitives, materials, scenes or clips."""
    meshes = document.get("meshes", [])
    check("nodes", len(document.get("nodes", [])), limits.max_nodes)
    check("scenes", len(document.get("scenes", [])), limits.max_scenes)
    check("meshes", len(meshes), limits.max_meshes)
    check("mesh primitives", sum(len(mesh["primitives"]) for mesh in meshes), limits.max_primitives)
    check("materials", len(document.get("materials", [])), limits.max_materials)
    check("animation clips", len(document.get("animations", [])), limits.max_clips)


def check_demand(document: JsonObject, draco: Counts, limits: ModelLimits) -> None:
    """Raises InvalidFormat: too many instances, joints, keyframes, vertices, triangles, morph targets or bytes.

    `draco` has the counts that Draco's data states for accessors. They are compared with the document's own, and the
    greater ones count.
    """
    counts = [
        max(accessor["count"], draco.get(number, 0)) for number, accessor in enumerate(document.get("accessors", []))
    ]
    nodes = document.get("nodes", [])
    instances = dict(_instances(nodes, counts))
    check("instances", sum(instances.values()), limits.max_instances)
    joints = [_joints(skin, counts) for skin in document.get("skins", [])]
    uses_of_joints = sum(joints[node["skin"]] for node in nodes if "skin" in node)
    check("joints", max(sum(joints), uses_of_joints), limits.max_joints)
    check("keyframes", _keyframes(document, counts), limits.max_keyframes)
    uses: Counter[int] = Counter()
    for number, node in enumerate(nodes):
        if "mesh" in node:
            uses[node["mesh"]] += instances.get(number, 1)
    meshes = [(times, _mesh(document, number, counts)) for number, times in uses.items()]
    for what, found, limit in (
        ("vertices", sum(times * mesh.vertices for times, mesh in meshes), limits.max_vertices),
        ("triangles", sum(times * mesh.triangles for times, mesh in meshes), limits.max_triangles),
        (
            "vertices of morph targets",
            sum(times * mesh.morph_vertices for times, mesh in meshes),
            limits.max_morph_vertices,
        ),
        ("bytes of geometry", sum(times * mesh.decoded_bytes for times, mesh in meshes), limits.max_decoded_bytes),
    ):
        check(f"{what}, counted for each use of a mesh", found, limit)


def check(what: str, found: int, limit: int) -> None:
    """Raises InvalidFormat, with the limit and what the model has of it."""
    if found > limit:
        shown = f"{found:,}" if found < MAX_SHOWN else f"more than {MAX_SHOWN:,}"
        raise InvalidFormat(f"The model has {shown} {what}: {limit:,} are allowed, so simplify it")


def _instances(nodes: list[JsonObject], counts: list[int]) -> Iterator[tuple[int, int]]:
    """The number of each node with instances, and the number of its instances."""
    for number, node in enumerate(nodes):
        instancing = node.get("extensions", {}).get("EXT_mesh_gpu_instancing")
        if instancing is not None:
            yield number, max((counts[accessor] for accessor in instancing["attributes"].values()), default=0)


def _keyframes(document: JsonObject, counts: list[int]) -> int:
    """The values of all channels: a keyframe of morph weights has one for each target, one of a spline three."""
    found = 0
    for animation in document.get("animations", []):
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            found += max(counts[sampler["input"]], counts[sampler["output"]])
    return found


def _joints(skin: JsonObject, counts: list[int]) -> int:
    """The joints of a skin, or its matrices, if those are more."""
    matrices = counts[skin["inverseBindMatrices"]] if "inverseBindMatrices" in skin else 0
    return max(len(skin["joints"]), matrices, 1)


def _mesh(document: JsonObject, number: int, counts: list[int]) -> _Mesh:
    mesh, accessors = _Mesh(), document.get("accessors", [])
    for primitive in document["meshes"][number]["primitives"]:
        attributes, targets = primitive["attributes"], primitive.get("targets", [])
        if "POSITION" not in attributes:  # Blender ignores it
            continue
        vertices = counts[attributes["POSITION"]]
        corners = counts[primitive["indices"]] if "indices" in primitive else vertices
        # Primitives may share vertices, of which Blender keeps those that their own indices name.
        mesh.vertices += min(vertices, corners)
        mesh.corners += 3 * corners if primitive.get("mode", TRIANGLES) in STRIPS else corners
        mesh.targets = max(mesh.targets, len(targets))
        for name, accessor in attributes.items():
            size = SKINNING_BYTES.get(_base(name), NUMBER_BYTES * COMPONENTS[accessors[accessor]["type"]])
            mesh.attribute_bytes[name] = max(size, mesh.attribute_bytes.get(name, 0))
        for accessor in [*attributes.values(), *(each for target in targets for each in target.values())]:
            if _is_copied(accessors[accessor]):
                mesh.copied_bytes += counts[accessor] * NUMBER_BYTES * COMPONENTS[accessors[accessor]["type"]]
    return mesh


def _is_copied(accessor: JsonObject) -> bool:
    """Whether the importer makes an array of the whole accessor; otherwise it reads what it needs from the file."""
    return "bufferView" not in accessor or "sparse" in accessor or accessor.get("normalized", False)


def _base(name: str) -> str:
    """TEXCOORD for TEXCOORD_0."""
    return name.rstrip("0123456789").rstrip("_")
