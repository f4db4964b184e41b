"""Own the photo studio: backgrounds, lights, a camera that fits the product, rendering. It knows no product type."""

import math
import os
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from PIL import Image

from sample_store import materials
from sample_store.palette import linear

PASTELS: dict[str, tuple[int, int, int]] = {
    "sand": (226, 208, 184),
    "sky": (184, 208, 226),
    "mint": (188, 218, 202),
    "blush": (234, 200, 194),
    "lilac": (208, 198, 224),
    "stone": (204, 204, 202),
}
WALLS = ((232, 228, 220), (214, 220, 222), (222, 214, 204), (206, 214, 204), (228, 222, 226))


@dataclass(frozen=True)
class Shot:
    """Say how one photo is taken. Angles in degrees, focal length in mm on a 36 mm frame."""

    background: str  # white, pastel or room
    azimuth: float
    elevation: float
    focal_mm: float
    pastel: str
    seed: int


def start(size_px: int, samples: int, threads: int) -> None:
    """Set an empty scene up for Cycles on the CPU."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x = scene.render.resolution_y = size_px
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.compression = 0
    scene.render.threads_mode = "FIXED"
    scene.render.threads = threads
    scene.render.film_transparent = False
    scene.render.use_persistent_data = True
    cycles = scene.cycles
    cycles.device = "CPU"
    cycles.samples = samples
    cycles.use_adaptive_sampling = False
    cycles.use_light_tree = False  # three lamps: choosing among them by tree costs more than it saves
    cycles.use_auto_tile = False
    cycles.use_denoising = True
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.denoising_prefilter = "FAST"
    cycles.max_bounces = 8
    cycles.diffuse_bounces = 1
    cycles.glossy_bounces = 2
    cycles.transmission_bounces = 8
    cycles.transparent_max_bounces = 8
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    scene.display_settings.display_device = "sRGB"


def clear() -> None:
    """Remove every object, mesh, light and material: the next product starts from nothing."""
    for objects in (
        bpy.data.objects,
        bpy.data.meshes,
        bpy.data.curves,
        bpy.data.lights,
        bpy.data.cameras,
        bpy.data.materials,
        bpy.data.worlds,
    ):
        for block in list(objects):
            objects.remove(block, do_unlink=True)


class Studio:
    """Photograph one product, already modelled, from several sides."""

    def __init__(self, parts: list[Any], points: Any, mount: str) -> None:
        self.mount = mount
        self.parts = parts
        self.points = points
        if mount in ("floor", "table"):
            self._drop_to_floor()
        self.low, self.high = self.points.min(0), self.points.max(0)
        self.centre = (self.low + self.high) / 2
        self.radius = float(np.linalg.norm(self.high - self.low) / 2)
        self.props: list[Any] = []

    def _drop_to_floor(self) -> None:
        """Let the lowest point touch z = 0."""
        lift = float(self.points[:, 2].min())
        if abs(lift) < 1e-5:
            return
        for part in self.parts:
            part.location.z -= lift
        self.points = self.points - (0, 0, lift)

    def photograph(self, shot: Shot, path: Path, quality: int = 87) -> None:
        """Render one shot to a JPEG, written beside its place and moved there when complete."""
        rng = random.Random(f"studio {shot.seed}")
        for prop in self.props:
            bpy.data.objects.remove(prop, do_unlink=True)
        self.props = []
        self._camera(shot)
        self._background(shot, rng)
        self._lights(shot, rng)
        scene = bpy.context.scene
        scene.cycles.seed = shot.seed % 100_000
        with tempfile.TemporaryDirectory() as folder:
            scene.render.filepath = str(Path(folder) / "photo.png")
            bpy.ops.render.render(write_still=True)
            with Image.open(scene.render.filepath) as photo:
                picture = photo.convert("RGB")
        if shot.background == "white":
            picture = _whiten(picture)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.part")
        picture.save(draft, "JPEG", quality=quality, optimize=True, progressive=True)
        draft.replace(path)

    # ---- camera ----------------------------------------------------------------------------------------------
    def _camera(self, shot: Shot) -> None:
        """Aim at the product and step back until it fills its share of the frame, centred."""
        azimuth, elevation = math.radians(shot.azimuth), math.radians(shot.elevation)
        toward = np.array(
            [
                math.sin(azimuth) * math.cos(elevation),
                -math.cos(azimuth) * math.cos(elevation),
                math.sin(elevation),
            ]
        )
        look = Vector((-toward).tolist()).to_track_quat("-Z", "Y")
        rotation = np.array(look.to_matrix())
        right, up = rotation[:, 0], rotation[:, 1]
        half_view = 18.0 / shot.focal_mm
        fill = 0.78 if shot.background != "room" else 0.7
        target, distance = self.centre.copy(), self.radius * 4
        for _ in range(12):
            offset = self.points - target
            depth = np.maximum(distance - offset @ toward, self.radius * 0.05)
            x, y = offset @ right / depth / half_view, offset @ up / depth / half_view
            span = max(np.ptp(x), np.ptp(y)) / 2
            target = (
                target + (right * (x.max() + x.min()) + up * (y.max() + y.min())) / 2 * half_view * distance
            )
            distance *= 1 + (span / fill - 1) * 0.9
        data = bpy.data.cameras.new("camera")
        data.lens = shot.focal_mm
        data.sensor_width = 36
        data.clip_start, data.clip_end = distance / 200, distance * 200
        camera = bpy.data.objects.new("camera", data)
        camera.location = (target + toward * distance).tolist()
        camera.rotation_mode = "QUATERNION"
        camera.rotation_quaternion = look
        self._link(camera)
        bpy.context.scene.camera = camera
        self._right, self._toward = right, toward

    def _link(self, prop: Any) -> None:
        bpy.context.scene.collection.objects.link(prop)
        self.props.append(prop)

    # ---- background ------------------------------------------------------------------------------------------
    def _background(self, shot: Shot, rng: random.Random) -> None:
        if shot.background == "room":
            self._room(rng)
        elif shot.background == "white":
            self._sweep(_backdrop("white", (0.90, 0.90, 0.90), 0.42))
        else:
            rgb = linear(PASTELS[shot.pastel])
            self._sweep(_backdrop("pastel", rgb, 0.22))

    def _sweep(self, material: Any) -> None:
        """A seamless paper sweep behind the product, square to the camera."""
        if self.mount == "wall":
            self._wall(material)
            return
        level = self.low[2] if self.mount in ("floor", "table") else self.low[2] - self.radius * 1.2
        back = np.array([-self._toward[0], -self._toward[1], 0.0])
        back /= max(np.linalg.norm(back), 1e-9)
        side = np.array([-back[1], back[0], 0.0])
        r = self.radius
        depth, curve, width = r * 2.6, r * 2.2, r * 30
        line = [(-r * 14, 0.0), (depth, 0.0)]
        line += [
            (depth + curve * math.sin(t), curve * (1 - math.cos(t)))
            for t in np.linspace(0.1, math.pi / 2, 14)
        ]
        line += [(depth + curve, r * 30)]
        origin = np.array([self.centre[0], self.centre[1], level])
        rows = [
            [origin + back * d + side * s + np.array([0, 0, h]) for s in (-width, width)] for d, h in line
        ]
        self._grid("sweep", rows, material)

    def _wall(self, material: Any) -> None:
        """A flat wall right behind a product that hangs on it."""
        y, r = self.high[1], self.radius * 20
        x, z = self.centre[0], self.centre[2]
        self._grid(
            "wall", [[(x - r, y, z - r), (x + r, y, z - r)], [(x - r, y, z + r), (x + r, y, z + r)]], material
        )

    def _grid(self, name: str, rows: Any, material: Any) -> None:
        points = np.asarray(rows, float).reshape(-1, 3)
        columns = len(rows[0])
        faces = [
            (i * columns + j, i * columns + j + 1, (i + 1) * columns + j + 1, (i + 1) * columns + j)
            for i in range(len(rows) - 1)
            for j in range(columns - 1)
        ]
        data = bpy.data.meshes.new(name)
        data.from_pydata(points.tolist(), [], faces)
        data.polygons.foreach_set("use_smooth", [True] * len(data.polygons))
        layer = data.uv_layers.new(name="UVMap")
        loops = np.empty(len(data.loops), np.int32)
        data.loops.foreach_get("vertex_index", loops)
        layer.data.foreach_set("uv", points[loops][:, :2].ravel())
        grain = data.attributes.new("grain", "FLOAT_VECTOR", "POINT")
        grain.data.foreach_set("vector", points.ravel())
        data.materials.append(material)
        self._link(bpy.data.objects.new(name, data))

    def _room(self, rng: random.Random) -> None:
        """A painted wall, and a wooden floor with a skirting board or a table top."""
        r = self.radius
        paint = _plain("wall paint", linear(rng.choice(WALLS)), 0.9)
        if self.mount == "wall":
            self._wall(paint)
            return
        faces_wall = self._toward[1] < -0.35
        gap = 0.12 * r if self.mount == "floor" and faces_wall else 1.1 * r
        # The wall stands behind the product as the camera sees it: a product seen from behind gets the other wall.
        if abs(self._toward[0]) > 0.75:
            axis, sign = 0, -np.sign(self._toward[0])
        else:
            axis, sign = 1, -np.sign(self._toward[1])
        edge = self.high[axis] if sign > 0 else self.low[axis]
        wall = edge + sign * gap
        floor = self.low[2]
        if self.mount == "ceiling":
            floor = self.low[2] - r * 4
        lo, hi = -r * 16, r * 16
        other = self.centre[1 - axis]

        def at(along: float, depth: float, z: float) -> tuple[float, float, float]:
            return (depth, along, z) if axis == 0 else (along, depth, z)

        self._grid(
            "wall",
            [
                [at(other + lo, wall, floor), at(other + hi, wall, floor)],
                [at(other + lo, wall, floor + 30 * r), at(other + hi, wall, floor + 30 * r)],
            ],
            paint,
        )
        front = wall - sign * r * 24
        wood = (
            rng.choice(("oak", "walnut", "ash", "pine"))
            if self.mount == "table"
            else rng.choice(("oak", "ash", "pine", "oak"))
        )
        if self.mount == "table" and rng.random() < 0.3:
            top = materials.make(rng, "marble", "white")
        else:
            top = materials.make(rng, wood)
        if self.mount == "floor":
            self._planks(rng, wood, wall, front, floor, at, other)
            self._slab(at(other + lo, wall - sign * 0.016, floor), at(other + hi, wall, floor + 0.09))
        else:
            self._grid(
                "table",
                [
                    [at(other + lo, front, floor), at(other + hi, front, floor)],
                    [at(other + lo, wall, floor), at(other + hi, wall, floor)],
                ],
                top,
            )

    def _planks(
        self, rng: random.Random, wood: str, wall: float, front: float, floor: float, at: Any, other: float
    ) -> None:
        """Floor boards, a few tones of one wood, with a dark joint between them."""
        tones = [materials.make(rng, wood) for _ in range(3)]
        width = 0.14
        r = self.radius
        count = int(min(60, 10 * r / width))
        for i in range(-count, count + 1):
            left = other + i * width + rng.uniform(0, 0.001)
            self._grid(
                "plank",
                [
                    [at(left, front, floor), at(left + width - 0.003, front, floor)],
                    [at(left, wall, floor), at(left + width - 0.003, wall, floor)],
                ],
                tones[rng.randrange(3)],
            )
        dark = _plain("joint", (0.05, 0.035, 0.02), 0.9)
        span = (count + 1) * width
        self._grid(
            "joints",
            [
                [at(other - span, front, floor - 0.002), at(other + span, front, floor - 0.002)],
                [at(other - span, wall, floor - 0.002), at(other + span, wall, floor - 0.002)],
            ],
            dark,
        )

    def _slab(self, a: tuple[float, float, float], b: tuple[float, float, float]) -> None:
        """A skirting board between two opposite corners."""
        data = bpy.data.meshes.new("skirting")
        (x0, y0, z0), (x1, y1, z1) = a, b
        corners = [(x, y, z) for z in (z0, z1) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
        data.from_pydata(corners, [], [(0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (4, 5, 6, 7)])
        data.materials.append(_plain("skirting", linear((240, 239, 235)), 0.5))
        self._link(bpy.data.objects.new("skirting", data))

    # ---- light -----------------------------------------------------------------------------------------------
    def _lights(self, shot: Shot, rng: random.Random) -> None:
        """A big soft key, a fill from the other side, a rim from above and behind, and a pale sky."""
        side = rng.choice((-1, 1))
        toward = np.array([self._toward[0], self._toward[1], 0.0])
        toward /= max(np.linalg.norm(toward), 1e-9)
        right = np.array([self._right[0], self._right[1], 0.0])
        up = np.array([0, 0, 1.0])
        warm = rng.uniform(-0.03, 0.05) if shot.background != "room" else rng.uniform(0.0, 0.1)
        key = (1.0, 1.0 - warm * 0.5, 1.0 - warm)
        room = shot.background == "room"
        # On white the paper lights itself, and the lamps are dimmed so that a white product keeps its form before it.
        dim = 0.78 if shot.background == "white" else 1.0
        self._area(toward * 1.6 + right * side * 2.2 + up * 2.3, 2.6, dim if not room else 1.2, key)
        self._area(
            toward * 1.8 - right * side * 2.6 + up * 0.9, 3.2, 0.24 * dim if not room else 0.3, (1, 1, 1)
        )
        if self.mount != "wall":
            self._area(
                -toward * 1.2 + right * side * 0.7 + up * 3.0, 2.0, 0.55 if not room else 0.35, (1, 1, 1)
            )
        world = bpy.data.worlds.new("sky")
        bpy.context.scene.world = world
        # A smooth sky needs no importance map, which costs more to build than the whole photo's samples.
        world.cycles.sampling_method = "NONE"
        world.use_nodes = True
        tree = world.node_tree
        tree.nodes.clear()
        output = tree.nodes.new("ShaderNodeOutputWorld")
        background = tree.nodes.new("ShaderNodeBackground")
        ramp = tree.nodes.new("ShaderNodeValToRGB")
        split = tree.nodes.new("ShaderNodeSeparateXYZ")
        coordinates = tree.nodes.new("ShaderNodeTexCoord")
        tree.links.new(coordinates.outputs["Generated"], split.inputs[0])
        height = tree.nodes.new("ShaderNodeMapRange")
        height.inputs[1].default_value = -1.0
        tree.links.new(split.outputs[2], height.inputs[0])
        tree.links.new(height.outputs[0], ramp.inputs[0])
        stops = ramp.color_ramp.elements
        stops[0].position, stops[0].color = 0.40, (0.30, 0.30, 0.31, 1)
        stops[1].position, stops[1].color = 0.85, (1.0, 1.0, 1.0, 1)
        horizon = stops.new(0.55)
        horizon.color = (0.55, 0.56, 0.58, 1)
        tree.links.new(ramp.outputs[0], background.inputs[0])
        background.inputs[1].default_value = 0.40 * dim if not room else 0.42
        tree.links.new(background.outputs[0], output.inputs[0])

    def _area(self, direction: Any, size: float, strength: float, colour: tuple[float, float, float]) -> None:
        """Hang an area light at `direction` (product radii from its centre) of `strength` irradiance there."""
        r = self.radius
        distance = float(np.linalg.norm(direction)) * r
        data = bpy.data.lights.new("softbox", "AREA")
        data.shape = "RECTANGLE"
        data.size, data.size_y = size * r, size * r * 0.8
        data.energy = strength * math.pi * math.pi * distance**2
        data.color = colour
        lamp = bpy.data.objects.new("softbox", data)
        lamp.location = (self.centre + direction * r).tolist()
        lamp.rotation_mode = "QUATERNION"
        lamp.rotation_quaternion = Vector((-direction).tolist()).to_track_quat("-Z", "Y")
        self._link(lamp)


def _plain(name: str, rgb: tuple[float, float, float], roughness: float) -> Any:
    nodes = materials.Nodes(name)
    nodes.principled(Base_Color=rgb, Roughness=roughness, Specular_IOR_Level=0.2)
    return nodes.material


def _backdrop(name: str, rgb: tuple[float, float, float], glow: float) -> Any:
    """Paper partly self-lit for the camera alone: evenly bright, with a soft shadow left where things stand."""
    n = materials.Nodes(name)
    diffuse = n.node("BsdfDiffuse", Color=rgb)
    emission = n.node(
        "Emission", Color=rgb, Strength=n.math("MULTIPLY", n.node("LightPath").outputs[0], glow)
    )
    total = n.node("AddShader")
    n.tree.links.new(diffuse.outputs[0], total.inputs[0])
    n.tree.links.new(emission.outputs[0], total.inputs[1])
    n.tree.links.new(total.outputs[0], n.output.inputs[0])
    return n.material


def _whiten(picture: Image.Image) -> Image.Image:
    """Scale a photo so that its border's median is 250: white paper looks white in every photo."""
    pixels = np.asarray(picture, np.float32)
    border = np.concatenate(
        [pixels[:6].reshape(-1, 3), pixels[:, :6].reshape(-1, 3), pixels[:, -6:].reshape(-1, 3)]
    )
    gain = 250.0 / max(float(np.median(border)), 60.0)
    gain = min(max(gain, 0.85), 1.35)
    # Only what is brighter than the product's own tones is lifted in full: a white cup must stay off the paper.
    level = np.clip((pixels.min(2, keepdims=True) / 255 - 0.72) / 0.25, 0, 1)
    return Image.fromarray(np.clip(pixels * (1 + (gain - 1) * level), 0, 255).astype(np.uint8))
