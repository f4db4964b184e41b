"""Own the modelling kit: solids, tubes, lathes, lofts and cushions in metres, z up, the product facing -y.

Every part carries a UV map in metres (patterns keep their real size) and a `grain` attribute (local coordinates with
the part's longest side first), which wood and brushed metal follow. It knows no product and no camera.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bmesh
import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

from sample_store import materials
from sample_store.spec import Spec

Point = Sequence[float]
Array = Any


def catmull(points: Sequence[Point], steps: int = 8, closed: bool = False) -> Array:
    """Return a smooth curve through the points: Catmull-Rom with centripetal knots, `steps` points a span."""
    p = np.asarray(points, float)
    if len(p) < 3:
        return p
    before, after = ([p[-1]], p[:2]) if closed else ([2 * p[0] - p[1]], [2 * p[-1] - p[-2]])
    p = np.vstack([before, p, after])
    out = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True):
        knots = np.cumsum(
            [0.0, *(max(1e-6, float(np.linalg.norm(y - x))) ** 0.5 for x, y in ((a, b), (b, c), (c, d)))]
        )
        for t in np.linspace(knots[1], knots[2], steps, endpoint=False):
            a1 = a + (b - a) * (t - knots[0]) / (knots[1] - knots[0])
            a2 = b + (c - b) * (t - knots[1]) / (knots[2] - knots[1])
            a3 = c + (d - c) * (t - knots[2]) / (knots[3] - knots[2])
            b1 = a1 + (a2 - a1) * (t - knots[0]) / (knots[2] - knots[0])
            b2 = a2 + (a3 - a2) * (t - knots[1]) / (knots[3] - knots[1])
            out.append(b1 + (b2 - b1) * (t - knots[1]) / (knots[2] - knots[1]))
    if not closed:
        out.append(p[-2])
    return np.asarray(out)


def fillet(points: Sequence[Point], radius: float, steps: int = 4, closed: bool = False) -> Array:
    """Round a polyline's corners with a quadratic arc; the radius shrinks where the sides are short."""
    p = np.asarray(points, float)
    out = []
    for i in range(len(p)):
        if not closed and i in (0, len(p) - 1):
            out.append(p[i])
            continue
        before, here, after = p[i - 1], p[i], p[(i + 1) % len(p)]
        u, v = before - here, after - here
        lu, lv = np.linalg.norm(u), np.linalg.norm(v)
        if lu < 1e-9 or lv < 1e-9 or np.dot(u, v) / (lu * lv) < -0.999:
            out.append(here)
            continue
        cut = min(radius, lu * 0.49, lv * 0.49)
        start, end = here + u / lu * cut, here + v / lv * cut
        for t in np.linspace(0, 1, steps + 1):
            out.append((1 - t) ** 2 * start + 2 * t * (1 - t) * here + t**2 * end)
    return np.asarray(out)


def superellipse(rx: float, ry: float, power: float = 2.0, n: int = 32) -> Array:
    """Return n outline points of |x/rx|^p + |y/ry|^p = 1, counter-clockwise: 2 is an ellipse, 5 a soft rectangle."""
    angle = np.linspace(0, 2 * math.pi, n, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack(
        [rx * np.sign(c) * np.abs(c) ** (2 / power), ry * np.sign(s) * np.abs(s) ** (2 / power)], axis=1
    )


def rounded_rect(width: float, height: float, radius: float, steps: int = 6) -> Array:
    """Return the outline of a rectangle with round corners, centred on the origin, counter-clockwise."""
    x, y = width / 2, height / 2
    return fillet([(-x, -y), (x, -y), (x, y), (-x, y)], radius, steps, closed=True)


class Kit:
    """Make the parts of one product in the current Blender scene."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.rng = random.Random(f"kit {spec.seed}")
        self.parts: list[Any] = []
        self._stack: list[Matrix] = [Matrix.Identity(4)]
        self._materials: dict[tuple[Any, ...], Any] = {}

    # ---- materials -------------------------------------------------------------------------------------------
    def mat(
        self,
        material: str,
        colour: str | None = None,
        *,
        pattern: str = "plain",
        colour2: str = "white",
        scale: float = 0.05,
        weave: float = 0.005,
        **options: Any,
    ) -> Any:
        """Return a material by its words: mat("walnut"), mat("black metal"), mat("fabric", "blue").

        `scale` is the pattern's repeat and `weave` the thread, pebble or speckle size, both in metres. Equal calls
        for one product give the same material. Raises KeyError for an unknown word.
        """
        key = (material, colour, pattern, colour2, scale, weave, tuple(sorted(options.items())))
        if key not in self._materials:
            self._materials[key] = materials.make(
                self.rng,
                material,
                colour,
                pattern=pattern,
                colour2=colour2,
                scale=scale,
                weave=weave,
                **options,
            )
        return self._materials[key]

    def main(self, *, scale: float = 0.05, weave: float = 0.005, **options: Any) -> Any:
        """Return the material of the dominant part, as the specification says."""
        s = self.spec
        return self.mat(
            s.material, s.colour, pattern=s.pattern, colour2=s.colour2, scale=scale, weave=weave, **options
        )

    def main_plain(self, **options: Any) -> Any:
        """Return the dominant material without its pattern (piping, lids, handles)."""
        return self.mat(self.spec.material, self.spec.colour, **options)

    def accent(self, **options: Any) -> Any:
        """Return the material of the second part, as the specification says."""
        return self.mat(self.spec.accent, **options)

    # ---- placing ---------------------------------------------------------------------------------------------
    @contextmanager
    def place(
        self,
        x: float = 0.0,
        y: float = 0.0,
        z: float = 0.0,
        *,
        rot: Point = (0, 0, 0),
        scale: float | Point = 1.0,
        mirror: str = "",
    ) -> Iterator[None]:
        """Move everything made inside the `with` block: mirror, scale, rotate (degrees, x then y then z), move.

        Blocks nest. `mirror` is "x", "y" or "z".
        """
        factors = [scale] * 3 if isinstance(scale, int | float) else list(scale)
        if mirror:
            factors["xyz".index(mirror)] *= -1
        matrix = (
            Matrix.Translation((x, y, z))
            @ Euler([math.radians(a) for a in rot], "XYZ").to_matrix().to_4x4()
            @ Matrix.Diagonal((*factors, 1))
        )
        self._stack.append(self._stack[-1] @ matrix)
        try:
            yield
        finally:
            self._stack.pop()

    def both_sides(self, make: Callable[[], None], axis: str = "x") -> None:
        """Run `make` as it stands and once more mirrored through the given axis."""
        make()
        with self.place(mirror=axis):
            make()

    def four(self, make: Callable[[], None]) -> None:
        """Run `make` in all four quadrants (mirrored in x and y): legs, feet, castors."""
        self.both_sides(lambda: self.both_sides(make, "y"))

    # ---- the one door to Blender -----------------------------------------------------------------------------
    def mesh(
        self,
        vertices: Array,
        faces: Iterable[Sequence[int]],
        mat: Any,
        *,
        name: str = "part",
        uv: Array | None = None,
        grain: Array | None = None,
        bevel: float = 0.0,
        bevel_steps: int = 3,
        weighted: bool = False,
        sharp_deg: float = 45.0,
        subdivide: int = 0,
        flat: bool = False,
    ) -> Any:
        """Add one part from vertices (n, 3) and faces, and return its object.

        `uv` is (n, 2) in metres, one pair a vertex (default: projected along each face's main axis). `bevel` rounds
        every edge sharper than 30 degrees; `subdivide` smooths by Catmull-Clark.
        """
        data = bpy.data.meshes.new(name)
        data.from_pydata(np.asarray(vertices, float).tolist(), [], [list(map(int, f)) for f in faces])
        if bevel or subdivide:
            data = self._refine(data, bevel, bevel_steps, subdivide)
            weighted = weighted or bool(bevel)
            uv = None
            grain = None
        count = len(data.vertices)
        points = np.empty(count * 3)
        data.vertices.foreach_get("co", points)
        points = points.reshape(-1, 3)
        self._write_uv(data, points, uv)
        self._write_grain(data, points, grain)

        matrix = np.array(self._stack[-1])
        world = points @ matrix[:3, :3].T + matrix[:3, 3]
        data.vertices.foreach_set("co", world.ravel())
        if np.linalg.det(matrix[:3, :3]) < 0:
            data.flip_normals()
        data.update()
        if not flat:
            data.polygons.foreach_set("use_smooth", [True] * len(data.polygons))
            if weighted:
                self._weight_normals(data)
            else:
                data.set_sharp_from_angle(angle=math.radians(sharp_deg))
        data.materials.append(mat)
        part = bpy.data.objects.new(name, data)
        bpy.context.scene.collection.objects.link(part)
        self.parts.append(part)
        return part

    def _refine(self, data: Any, bevel: float, steps: int, subdivide: int) -> Any:
        if bevel:
            edit = bmesh.new()
            edit.from_mesh(data)
            bmesh.ops.remove_doubles(edit, verts=edit.verts, dist=1e-6)
            bmesh.ops.recalc_face_normals(edit, faces=edit.faces)
            edges = [
                e for e in edit.edges if len(e.link_faces) == 2 and e.calc_face_angle(0.0) > math.radians(30)
            ]
            bmesh.ops.bevel(
                edit,
                geom=edges,
                offset=bevel,
                segments=steps,
                profile=0.5,
                affect="EDGES",
                clamp_overlap=True,
            )
            edit.to_mesh(data)
            edit.free()
        if subdivide:
            holder = bpy.data.objects.new("subdivide", data)
            bpy.context.scene.collection.objects.link(holder)
            modifier = holder.modifiers.new("subdivide", "SUBSURF")
            modifier.levels = subdivide
            graph = bpy.context.evaluated_depsgraph_get()
            smooth = bpy.data.meshes.new_from_object(holder.evaluated_get(graph))
            bpy.data.objects.remove(holder)
            bpy.data.meshes.remove(data)
            data = smooth
        return data

    def _write_uv(self, data: Any, points: Array, uv: Array | None) -> None:
        layer = data.uv_layers.new(name="UVMap")
        loops = np.empty(len(data.loops), np.int32)
        data.loops.foreach_get("vertex_index", loops)
        if uv is not None and len(uv) == len(points):
            pairs = np.asarray(uv, float)[loops]
        elif uv is not None and len(uv) == len(loops):
            pairs = np.asarray(uv, float)
        else:
            normals = np.empty(len(data.polygons) * 3)
            data.polygons.foreach_get("normal", normals)
            totals = np.empty(len(data.polygons), np.int32)
            data.polygons.foreach_get("loop_total", totals)
            main = np.abs(normals.reshape(-1, 3)).argmax(1).repeat(totals)
            axes = np.array([[1, 2], [0, 2], [0, 1]])[main]
            pairs = np.take_along_axis(points[loops], axes, axis=1)
        layer.data.foreach_set("uv", pairs.ravel())

    def _write_grain(self, data: Any, points: Array, grain: Array | None) -> None:
        if grain is None or len(grain) != len(points):
            order = np.argsort(-np.ptp(points, axis=0), kind="stable")
            grain = points[:, order]
        offset = np.array([self.rng.uniform(0, 9) for _ in range(3)])
        attribute = data.attributes.new("grain", "FLOAT_VECTOR", "POINT")
        attribute.data.foreach_set("vector", (np.asarray(grain, float) + offset).ravel())

    def _weight_normals(self, data: Any) -> None:
        """Let large faces decide the vertex normals, so that flats stay flat beside their bevels."""
        count = len(data.polygons)
        normals, areas = np.empty(count * 3), np.empty(count)
        totals, loops = np.empty(count, np.int32), np.empty(len(data.loops), np.int32)
        data.polygons.foreach_get("normal", normals)
        data.polygons.foreach_get("area", areas)
        data.polygons.foreach_get("loop_total", totals)
        data.loops.foreach_get("vertex_index", loops)
        weighted = (normals.reshape(-1, 3) * areas[:, None]).repeat(totals, axis=0)
        total = np.zeros((len(data.vertices), 3))
        np.add.at(total, loops, weighted)
        total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
        data.normals_split_custom_set_from_vertices(total.tolist())

    # ---- solids ----------------------------------------------------------------------------------------------
    def box(
        self,
        size: Point,
        mat: Any,
        *,
        at: Point = (0, 0, 0),
        bevel: float = 0.004,
        top: float | Point = 1.0,
        name: str = "box",
    ) -> Any:
        """Add a box of (x, y, z) size whose BOTTOM face is centred on `at`; `top` scales the top face (taper)."""
        tx, ty = (top, top) if isinstance(top, int | float) else top
        x, y, z = size[0] / 2, size[1] / 2, size[2]
        square = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
        v = [(sx * x, sy * y, 0.0) for sx, sy in square] + [
            (sx * x * tx, sy * y * ty, z) for sx, sy in square
        ]
        faces = [(3, 2, 1, 0), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
        vertices = np.array(v) + np.asarray(at, float)
        return self.mesh(vertices, faces, mat, name=name, bevel=min(bevel, min(size) * 0.45), flat=not bevel)

    def beam(
        self,
        start: Point,
        end: Point,
        width: float,
        depth: float,
        mat: Any,
        *,
        bevel: float = 0.003,
        name: str = "beam",
    ) -> Any:
        """Add a bar of rectangular section between two points; width is its level side, depth the other one."""
        a, b = Vector(start), Vector(end)
        along = (b - a).normalized()
        side = along.cross(Vector((0, 0, 1)))
        side = Vector((1, 0, 0)) if side.length < 1e-4 else side.normalized()
        matrix = Matrix((side, along.cross(side), along)).transposed().to_4x4()
        self._stack.append(self._stack[-1] @ Matrix.Translation(a) @ matrix)
        try:
            return self.box((width, depth, (b - a).length), mat, bevel=bevel, name=name)
        finally:
            self._stack.pop()

    def cylinder(
        self,
        start: Point,
        end: Point,
        radius: float,
        mat: Any,
        *,
        end_radius: float | None = None,
        round_edge: float | None = None,
        segments: int = 40,
        name: str = "cylinder",
    ) -> Any:
        """Add a cylinder, cone or tapered leg between two points, its rims rounded by `round_edge`."""
        a, b = Vector(start), Vector(end)
        length = (b - a).length
        r1 = radius if end_radius is None else end_radius
        edge = min(radius, length) * 0.12 if round_edge is None else round_edge
        quaternion = Vector((0, 0, 1)).rotation_difference((b - a).normalized())
        self._stack.append(self._stack[-1] @ Matrix.Translation(a) @ quaternion.to_matrix().to_4x4())
        try:
            return self.lathe(
                [(0, 0), (radius, 0), (r1, length), (0, length)],
                mat,
                round_edge=edge,
                segments=segments,
                name=name,
            )
        finally:
            self._stack.pop()

    def lathe(
        self,
        profile: Sequence[Point],
        mat: Any,
        *,
        at: Point = (0, 0, 0),
        smooth: bool = False,
        round_edge: float = 0.0,
        segments: int = 64,
        name: str = "lathe",
    ) -> Any:
        """Revolve (radius, z) points around the z axis through `at`.

        List the outside from bottom to top (then the inside back down for a shell). `smooth` draws a curve through
        the points; `round_edge` rounds the corners instead.
        """
        p = np.asarray(profile, float)
        if smooth:
            p = catmull(p, 8)
        elif round_edge:
            p = fillet(p, round_edge)
        p[:, 0] = np.maximum(p[:, 0], 0)
        keep = np.r_[True, np.linalg.norm(np.diff(p, axis=0), axis=1) > 1e-7]
        p = p[keep]
        angle = np.linspace(0, 2 * math.pi, segments + 1)
        length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))]
        girth = 2 * math.pi * p[:, 0].max()
        vertices, uv, grain, rows = [], [], [], []
        for (radius, z), along in zip(p, length, strict=True):
            first = len(vertices)
            if radius < 1e-7:
                vertices.append((0, 0, z))
                uv.append((girth / 2, along))
                grain.append((z, 0, 0))
                rows.append([first] * (segments + 1))
                continue
            for a in angle[:-1]:
                vertices.append((radius * math.cos(a), radius * math.sin(a), z))
                grain.append((z, radius * math.cos(a), radius * math.sin(a)))
                uv.append((girth * a / (2 * math.pi), along))
            rows.append([*range(first, first + segments), first])
        faces, loop_uv = [], []
        for r in range(len(rows) - 1):
            for i in range(segments):
                corners = [(r, i), (r, i + 1), (r + 1, i + 1), (r + 1, i)]
                face, pairs = [], []
                for row, col in corners:
                    index = rows[row][col]
                    if index in face:
                        continue
                    face.append(index)
                    pairs.append((girth * col / segments, length[row]))
                if len(face) >= 3:
                    faces.append(face)
                    loop_uv.extend(pairs)
        return self.mesh(
            np.array(vertices) + np.asarray(at, float),
            faces,
            mat,
            name=name,
            uv=np.array(loop_uv),
            grain=np.array(grain),
            weighted=bool(round_edge) and not smooth,
            sharp_deg=50,
        )

    def shell(
        self,
        profile: Sequence[Point],
        wall: float,
        mat: Any,
        *,
        at: Point = (0, 0, 0),
        smooth: bool = False,
        round_edge: float = 0.004,
        segments: int = 64,
        name: str = "shell",
    ) -> Any:
        """Revolve an open vessel of wall thickness `wall`: give the OUTSIDE from (0, bottom) up to the lip."""
        outside = np.asarray(profile, float)
        outside = catmull(outside, 8) if smooth else fillet(outside, round_edge)
        step = np.gradient(outside, axis=0)
        step /= np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9)
        inside = outside + wall * np.stack([-step[:, 1], step[:, 0]], axis=1)
        inside = inside[inside[:, 0] > 1e-4]
        inside = inside[inside[:, 1] > outside[0, 1] + wall * 0.8]
        lip = outside[-1]
        rim_in = inside[-1]
        middle = (lip + rim_in) / 2
        rim = [
            middle + (lip - middle) * math.cos(t) + step[-1] * wall / 2 * math.sin(t)
            for t in (0.5, 1.1, 1.6, 2.1, 2.7)
        ]
        floor = np.array([[0, inside[0, 1]]])
        whole = np.vstack([outside, rim, inside[::-1], floor])
        return self.lathe(whole, mat, at=at, segments=segments, name=name)

    def sphere(self, radius: float | Point, mat: Any, *, at: Point = (0, 0, 0), name: str = "sphere") -> Any:
        """Add a ball, or an ellipsoid for three radii, centred on `at`."""
        rx, ry, rz = [radius] * 3 if isinstance(radius, int | float) else radius
        t = np.linspace(-math.pi / 2, math.pi / 2, 25)
        with self.place(*at, scale=(rx, ry, rz)):
            return self.lathe(np.stack([np.cos(t), np.sin(t)], 1), mat, segments=48, name=name)

    def torus(
        self,
        radius: float,
        thickness: float,
        mat: Any,
        *,
        at: Point = (0, 0, 0),
        axis: str = "z",
        name: str = "torus",
    ) -> Any:
        """Add a ring of the given centre-line radius and section radius around an axis through `at`."""
        t = np.linspace(0, 2 * math.pi, 64, endpoint=False)
        ring = np.stack([np.cos(t), np.sin(t), 0 * t], 1) * radius
        ring = ring[:, {"z": [0, 1, 2], "y": [0, 2, 1], "x": [2, 0, 1]}[axis]]
        return self.tube(ring + np.asarray(at, float), thickness, mat, closed=True, name=name)

    def cushion(
        self,
        size: Point,
        mat: Any,
        *,
        at: Point = (0, 0, 0),
        radius: float = 0.04,
        puff: float = 0.02,
        piping: Any = None,
        wrinkle: float = 0.002,
        dimples: Sequence[Point] = (),
        name: str = "cushion",
    ) -> Any:
        """Add a soft padded box of (x, y, z) size, its bottom centred on `at` (upholstery, pillows, bags).

        `radius` rounds the edges, `puff` swells the faces, `piping` is a material for a cord around the upper and
        lower rim, `dimples` are (u, v) in -1..1 for buttons pressed into the -y and +z faces' larger one.
        """
        half = np.asarray(size, float) / 2
        r = min(radius, half.min() * 0.98)
        inner = half - r
        coords = [self._cushion_axis(h, r) for h in half]
        points, faces = _grid_box(coords)
        core = np.clip(points, -inner, inner)
        out = points - core
        out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)
        on = core + out * r
        unit = on / half
        swell = np.stack(
            [
                np.clip(1 - unit[:, 1] ** 2, 0, 1) * np.clip(1 - unit[:, 2] ** 2, 0, 1),
                np.clip(1 - unit[:, 0] ** 2, 0, 1) * np.clip(1 - unit[:, 2] ** 2, 0, 1),
                np.clip(1 - unit[:, 0] ** 2, 0, 1) * np.clip(1 - unit[:, 1] ** 2, 0, 1),
            ],
            axis=1,
        )
        # A thin side swells less than the broad face, as stuffing does.
        share = half.min() / half
        on = on + out * swell**0.8 * puff * np.where(share > 0.99, 1.0, 0.35)
        phase = [self.rng.uniform(0, 6) for _ in range(3)]
        ripple = np.sin(on[:, 0] * 37 + phase[0]) * np.sin(on[:, 1] * 31 + phase[1]) + np.sin(
            on[:, 2] * 41 + phase[2]
        )
        on = on + out * (ripple * wrinkle / 2)[:, None]
        if dimples:
            thin = int(half.argmin())
            a, b = [i for i in range(3) if i != thin]
            for u, v in dimples:
                d2 = (on[:, a] - u * half[a]) ** 2 + (on[:, b] - v * half[b]) ** 2
                press = np.exp(-d2 / (2 * 0.03**2)) * min(puff * 1.3 + 0.006, half[thin] * 0.4)
                on[:, thin] -= np.sign(on[:, thin]) * press
        centre = np.add(at, (0.0, 0.0, half[2]))
        part = self.mesh(on + centre, faces, mat, name=name, sharp_deg=180)
        if piping is not None:
            thin = int(half.argmin())
            a, b = [i for i in range(3) if i != thin]
            loop2 = rounded_rect(2 * half[a] - 0.3 * r, 2 * half[b] - 0.3 * r, r * 0.9)
            for side in (-1, 1):
                loop = np.zeros((len(loop2), 3))
                loop[:, a], loop[:, b], loop[:, thin] = (
                    loop2[:, 0],
                    loop2[:, 1],
                    side * (half[thin] - 0.15 * r),
                )
                self.tube(loop + centre, 0.006, piping, closed=True, sides=10, name=f"{name} piping")
        return part

    def _cushion_axis(self, half: float, radius: float) -> Array:
        flat = half - radius
        turn = flat + radius * np.tan(np.linspace(0, math.pi / 4, 6))
        middle = np.linspace(-flat, flat, max(4, min(28, int(flat / 0.015))))
        return np.unique(np.round(np.r_[-turn[::-1], middle, turn], 6))

    # ---- swept and lofted parts ------------------------------------------------------------------------------
    def tube(
        self,
        path: Sequence[Point],
        radius: float | Sequence[float],
        mat: Any,
        *,
        smooth: bool = False,
        bend: float = 0.0,
        closed: bool = False,
        sides: int = 16,
        section: Array | None = None,
        name: str = "tube",
    ) -> Any:
        """Sweep a round (or given) section along a path.

        `radius` may hold one value a path point. `smooth` draws a curve through the points, `bend` rounds corners by
        that radius instead. `section` is an (m, 2) outline in metres that replaces the circle (straps, rails): its
        first axis lies level where it can, its second one up.
        """
        p = np.asarray(path, float)
        radii = (
            np.full(len(p), radius, float) if isinstance(radius, int | float) else np.asarray(radius, float)
        )
        if smooth:
            joined = catmull(np.column_stack([p, radii]), 10, closed)
            p, radii = joined[:, :3], joined[:, 3]
        elif bend:
            joined = fillet(np.column_stack([p, radii]), bend, 6, closed)
            p, radii = joined[:, :3], joined[:, 3]
        angle = np.linspace(0, 2 * math.pi, sides, endpoint=False)
        outline = (
            np.stack([np.cos(angle), np.sin(angle)], 1) if section is None else np.asarray(section, float)
        )
        factor = radii if section is None else np.ones(len(p))
        n = len(p)
        tangent = (np.roll(p, -1, 0) - np.roll(p, 1, 0)) if closed else np.gradient(p, axis=0)
        tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
        side = np.cross(tangent[0], (0, 0, 1))
        if np.linalg.norm(side) < 1e-3:
            side = np.array([1.0, 0, 0])
        frames = []
        for t in tangent:
            side = side - t * np.dot(side, t)
            side /= max(np.linalg.norm(side), 1e-12)
            frames.append((side, np.cross(side, t)))
        twist = 0.0
        if closed:
            end = frames[-1][0] - tangent[0] * np.dot(frames[-1][0], tangent[0])
            twist = math.atan2(np.dot(end, frames[0][1]), np.dot(end, frames[0][0]))
        rings = []
        for i in range(n):
            turn = -twist * i / n
            u = math.cos(turn) * frames[i][0] + math.sin(turn) * frames[i][1]
            v = -math.sin(turn) * frames[i][0] + math.cos(turn) * frames[i][1]
            rings.append(p[i] + factor[i] * (outline[:, :1] * u + outline[:, 1:] * v))
        return self.loft(rings, mat, closed=closed, name=name, cap_round=section is None)

    def loft(
        self,
        rings: Sequence[Array],
        mat: Any,
        *,
        smooth: int = 0,
        closed: bool = False,
        caps: bool = True,
        cap_round: bool = False,
        sharp_deg: float = 50,
        name: str = "loft",
    ) -> Any:
        """Skin cross-sections, each (m, 3) with equal m and the same starting side (shoes, bags, spouts, shells).

        `smooth` inserts that many curve steps between rings. `closed` joins the last ring to the first.
        """
        r = np.asarray(rings, float)
        count = r.shape[1]
        if smooth:
            r = catmull(r.reshape(len(r), -1), smooth, closed).reshape(-1, count, 3)
        if cap_round and not closed:
            r = _round_ends(r)
        n = len(r)
        step = np.linalg.norm(np.diff(r, axis=0), axis=2).mean(1)
        along = np.r_[0, np.cumsum(step)]
        girths = np.linalg.norm(r - np.roll(r, 1, 1), axis=2).sum(1)
        girth = float(np.median(girths))
        faces, pairs = [], []
        total = along[-1] + (np.linalg.norm(r[0] - r[-1], axis=1).mean() if closed else 0)
        for i in range(n if closed else n - 1):
            j = (i + 1) % n
            v0, v1 = along[i], (along[j] if j else total)
            for k in range(count):
                m = (k + 1) % count
                faces.append((i * count + k, i * count + m, j * count + m, j * count + k))
                u0, u1 = girth * k / count, girth * (k + 1) / count
                pairs += [(u0, v0), (u1, v0), (u1, v1), (u0, v1)]
        if caps and not closed:
            faces.append(tuple(range(count))[::-1])
            pairs += [tuple(x) for x in (r[0] - r[0].mean(0))[::-1, :2]]
            faces.append(tuple(range((n - 1) * count, n * count)))
            pairs += [tuple(x) for x in (r[-1] - r[-1].mean(0))[:, :2]]
        centres = r.mean(1, keepdims=True)
        grain = np.concatenate(
            [np.broadcast_to(along[:, None, None], (n, count, 1)), (r - centres)[:, :, :2]], axis=2
        )
        part = self.mesh(
            r.reshape(-1, 3),
            faces,
            mat,
            name=name,
            uv=np.array(pairs),
            grain=grain.reshape(-1, 3),
            sharp_deg=sharp_deg,
        )
        _outward(part.data)
        return part

    def extrude(
        self,
        outline: Sequence[Point],
        thickness: float,
        mat: Any,
        *,
        plane: str = "xy",
        at: Point = (0, 0, 0),
        bevel: float = 0.003,
        holes: Sequence[Sequence[Point]] = (),
        name: str = "plate",
    ) -> Any:
        """Thicken a flat outline (with holes), centred on `at` along the plane's normal.

        `plane` names where the outline's two coordinates go: "xy" (lying), "xz" (facing front), "yz" (a side view).
        """
        curve = bpy.data.curves.new(name, "CURVE")
        curve.dimensions = "2D"
        curve.fill_mode = "BOTH"
        bevel = min(bevel, thickness * 0.45)
        curve.extrude = max(thickness / 2 - bevel, 1e-5)
        curve.bevel_depth = bevel
        curve.bevel_resolution = 2
        curve.offset = -bevel
        for line in (outline, *holes):
            spline = curve.splines.new("POLY")
            spline.points.add(len(line) - 1)
            for point, (x, y) in zip(spline.points, line, strict=True):
                point.co = (x, y, 0, 1)
            spline.use_cyclic_u = True
        holder = bpy.data.objects.new(name, curve)
        bpy.context.scene.collection.objects.link(holder)
        graph = bpy.context.evaluated_depsgraph_get()
        solid = bpy.data.meshes.new_from_object(holder.evaluated_get(graph))
        edit = bmesh.new()
        edit.from_mesh(solid)
        bmesh.ops.remove_doubles(edit, verts=edit.verts, dist=1e-6)
        bmesh.ops.recalc_face_normals(edit, faces=edit.faces)
        edit.to_mesh(solid)
        edit.free()
        v = np.array([tuple(x.co) for x in solid.vertices])
        faces = [tuple(f.vertices) for f in solid.polygons]
        bpy.data.objects.remove(holder)
        bpy.data.curves.remove(curve)
        bpy.data.meshes.remove(solid)
        x, y, z = v.T
        turned = {"xy": (x, y, z), "xz": (x, -z, y), "yz": (z, x, y)}[plane]
        return self.mesh(
            np.stack(turned, 1) + np.asarray(at, float), faces, mat, name=name, weighted=bool(bevel)
        )

    def sheet(
        self,
        surface: Callable[[float, float], Point],
        mat: Any,
        *,
        thickness: float,
        nu: int = 24,
        nv: int = 24,
        name: str = "sheet",
    ) -> Any:
        """Thicken a curved sheet given as surface(u, v) -> (x, y, z) for u, v in 0..1 (moulded seats, leaves)."""
        grid = np.array(
            [[surface(u, v) for u in np.linspace(0, 1, nu)] for v in np.linspace(0, 1, nv)], float
        )
        du, dv = np.gradient(grid, axis=1), np.gradient(grid, axis=0)
        normal = np.cross(du, dv)
        normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-12)
        top, bottom = grid + normal * thickness / 2, grid - normal * thickness / 2
        n = nu * nv
        faces = []
        for j in range(nv - 1):
            for i in range(nu - 1):
                a = j * nu + i
                faces.append((a, a + 1, a + nu + 1, a + nu))
                faces.append((n + a, n + a + nu, n + a + nu + 1, n + a + 1))
        rim = [
            *range(nu),
            *range(2 * nu - 1, n, nu),
            *range(n - 2, n - nu - 1, -1),
            *range(n - 2 * nu, 0, -nu),
        ]
        for a, b in zip(rim, rim[1:] + rim[:1], strict=True):
            faces.append((b, a, n + a, n + b))
        lu = np.linalg.norm(np.diff(grid, axis=1), axis=2).mean()
        lv = np.linalg.norm(np.diff(grid, axis=0), axis=2).mean()
        uv = np.array([(i * lu, j * lv) for j in range(nv) for i in range(nu)])
        vertices = np.concatenate([top.reshape(-1, 3), bottom.reshape(-1, 3)])
        return self.mesh(vertices, faces, mat, name=name, uv=np.concatenate([uv, uv]), sharp_deg=60)

    def cut(self, part: Any, tool: Any) -> None:
        """Take the tool's volume out of a part (both closed solids) and remove the tool."""
        modifier = part.modifiers.new("cut", "BOOLEAN")
        modifier.operation = "DIFFERENCE"
        modifier.solver = "EXACT"
        modifier.object = tool
        graph = bpy.context.evaluated_depsgraph_get()
        old, part.data = part.data, bpy.data.meshes.new_from_object(part.evaluated_get(graph))
        part.modifiers.clear()
        bpy.data.meshes.remove(old)
        self.parts.remove(tool)
        bpy.data.objects.remove(tool)
        part.data.set_sharp_from_angle(angle=math.radians(35))

    # ---- light and placing as a whole ------------------------------------------------------------------------
    def glow(self, at: Point, watts: float, radius: float = 0.03, colour: Point = (1.0, 0.78, 0.5)) -> None:
        """Put a lamp's light at a point (inside a shade): 3 to 8 watts suit a table or floor lamp."""
        light = bpy.data.lights.new("glow", "POINT")
        light.energy = watts
        light.color = colour
        light.shadow_soft_size = radius
        holder = bpy.data.objects.new("glow", light)
        holder.location = self._stack[-1] @ Vector(at)
        bpy.context.scene.collection.objects.link(holder)

    def points(self) -> Array:
        """Return the world coordinates of all parts' vertices, (n, 3)."""
        clouds = []
        for part in self.parts:
            cloud = np.empty(len(part.data.vertices) * 3)
            part.data.vertices.foreach_get("co", cloud)
            clouds.append(cloud.reshape(-1, 3))
        return np.concatenate(clouds)


def _round_ends(rings: Array) -> Array:
    """Close a tube's ends with half-round caps instead of a flat disc."""
    out = [rings]
    for end, inner in ((0, 1), (-1, -2)):
        centre = rings[end].mean(0)
        direction = centre - rings[inner].mean(0)
        direction /= max(np.linalg.norm(direction), 1e-12)
        radius = np.linalg.norm(rings[end] - centre, axis=1).mean()
        caps = [
            centre + (rings[end] - centre) * math.cos(t) + direction * radius * 0.6 * math.sin(t)
            for t in (0.4, 0.8, 1.15, 1.45)
        ]
        out = [np.array(caps[::-1]), *out] if end == 0 else [*out, np.array(caps)]
    return np.concatenate(out)


def _outward(data: Any) -> None:
    """Turn the faces of a closed part outward."""
    edit = bmesh.new()
    edit.from_mesh(data)
    bmesh.ops.recalc_face_normals(edit, faces=edit.faces)
    edit.to_mesh(data)
    edit.free()


def _grid_box(coords: Sequence[Array]) -> tuple[Array, list[tuple[int, ...]]]:
    """Return the surface grid of a box whose lines lie at the given coordinates of each axis."""
    index: dict[tuple[int, int, int], int] = {}
    points: list[tuple[float, ...]] = []
    faces: list[tuple[int, ...]] = []

    def vertex(key: tuple[int, int, int]) -> int:
        if key not in index:
            index[key] = len(points)
            points.append(tuple(float(coords[i][key[i]]) for i in range(3)))
        return index[key]

    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for end in (0, len(coords[axis]) - 1):
            for i in range(len(coords[a]) - 1):
                for j in range(len(coords[b]) - 1):
                    corners = []
                    for di, dj in ((0, 0), (1, 0), (1, 1), (0, 1)):
                        key = [0, 0, 0]
                        key[axis], key[a], key[b] = end, i + di, j + dj
                        corners.append(vertex((key[0], key[1], key[2])))
                    faces.append(tuple(corners if end else corners[::-1]))
    return np.array(points), faces
