// One slice through a CT, in any of the three planes, with labels, their outlines and one overlay.
//
// One draw for each slab of slices; each draws the pixels whose slice is its own and discards the rest. Bindings, units
// and limits: README.md.

struct Slice {
    // Voxel [i, j, k] under the viewport's top left corner; whole numbers are voxel centres.
    origin: vec4<f32>,
    // Voxels from one pixel to the next: to the right, and down.
    right: vec4<f32>,
    down: vec4<f32>,
    // Unit step along the picture's first and second axis; w: how many samples are averaged for a pixel along it.
    across: vec4<i32>,
    along: vec4<i32>,
    // Voxels of the volume along i, j, k; w: FLAG_* bits.
    size: vec4<i32>,
    // Slices that the textures hold: first, and one after the last. Slices that this draw answers for: likewise.
    slab: vec4<i32>,
    // x: the slice that `other_labels` belongs to, or -1; y: OVERLAY_*.
    options: vec4<i32>,
    // xy: the viewport's top left corner in pixels; z: pixels for each point.
    viewport: vec4<f32>,
    // x: centre - 0.5, y: width - 1, HU.
    window: vec4<f32>,
}

struct Entry {
    // sRGB as it is displayed, 0 to 1; w: opacity of the fill.
    colour: vec4<f32>,
    // x: width of the outline in points, 0 for none; y: 1 where the organ is drawn at all.
    style: vec4<f32>,
}

struct Palette {
    // By label; 0 is background.
    entries: array<Entry, 34>,
    // Difference to the reference: only here, only in the reference, another organ there.
    only_here: vec4<f32>,
    only_there: vec4<f32>,
    another: vec4<f32>,
    // Uncertainty, from a little to fully.
    unsure: vec4<f32>,
    very_unsure: vec4<f32>,
}

const FLAG_INTERPOLATE: i32 = 1;
const FLAG_SMOOTH_LABELS: i32 = 2;
const FLAG_INVERTED: i32 = 4;
const FLAG_LINEAR_TARGET: i32 = 8;
const FLAG_OTHER_LABELS_REPLACE: i32 = 16;

const OVERLAY_UNCERTAINTY: i32 = 1;
const OVERLAY_REMOVED: i32 = 2;
const OVERLAY_DIFFERENCE: i32 = 3;

@group(0) @binding(0) var<uniform> view: Slice;
@group(0) @binding(1) var<uniform> palette: Palette;
@group(1) @binding(0) var ct: texture_2d_array<i32>;
@group(1) @binding(1) var labels: texture_2d_array<u32>;
@group(1) @binding(2) var overlay: texture_2d_array<u32>;
@group(1) @binding(3) var other_labels: texture_2d<u32>;

@vertex
fn vertex(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    let x = f32(index & 1u) * 2.0 - 1.0;
    let y = f32(index >> 1u) * 2.0 - 1.0;
    return vec4<f32>(x, y, 0.0, 1.0);
}

fn has(flag: i32) -> bool {
    return (view.size.w & flag) != 0;
}

fn is_inside(voxel: vec3<i32>) -> bool {
    return all(voxel >= vec3<i32>(0)) && all(voxel < view.size.xyz);
}

// The layer that holds slice k, or the nearest one that these textures hold.
fn layer(k: i32) -> i32 {
    return clamp(k, view.slab.x, view.slab.y - 1) - view.slab.x;
}

fn hu(voxel: vec3<i32>) -> f32 {
    return f32(textureLoad(ct, voxel.xy, layer(voxel.z), 0).r);
}

fn nearest(p: vec3<f32>) -> vec3<i32> {
    return vec3<i32>(floor(p + 0.5));
}

fn inside(p: vec3<f32>) -> vec3<f32> {
    return clamp(p, vec3<f32>(0.0), vec3<f32>(view.size.xyz - 1));
}

// HU at a point, linear between the four voxels around it in the plane.
fn hu_at(point: vec3<f32>) -> f32 {
    let p = inside(point);
    if !has(FLAG_INTERPOLATE) {
        return hu(nearest(p));
    }
    let low = vec3<i32>(floor(p));
    let rest = p - floor(p);
    let f = vec2<f32>(dot(rest, vec3<f32>(view.across.xyz)), dot(rest, vec3<f32>(view.along.xyz)));
    let last = view.size.xyz - 1;
    let top = mix(hu(low), hu(min(low + view.across.xyz, last)), f.x);
    let bottom = mix(hu(min(low + view.along.xyz, last)), hu(min(low + view.across.xyz + view.along.xyz, last)), f.x);
    return mix(top, bottom, f.y);
}

// Mean HU under a pixel: where a pixel covers many voxels, one sample would flicker.
fn hu_of_pixel(p: vec3<f32>) -> f32 {
    let count = vec2<f32>(f32(view.across.w), f32(view.along.w));
    var sum = 0.0;
    for (var y = 0; y < view.along.w; y++) {
        for (var x = 0; x < view.across.w; x++) {
            let offset = (vec2<f32>(f32(x), f32(y)) + 0.5) / count - 0.5;
            sum += hu_at(p + offset.x * view.right.xyz + offset.y * view.down.xyz);
        }
    }
    return sum / (count.x * count.y);
}

// DICOM PS3.3 C.11.2.1.2, LINEAR.
fn grey(value: f32) -> f32 {
    let from_centre = value - view.window.x;
    let half_width = 0.5 * view.window.y;
    if from_centre <= -half_width {
        return 0.0;
    }
    if from_centre > half_width {
        return 1.0;
    }
    return from_centre / view.window.y + 0.5;
}

fn label_of(voxel: vec3<i32>) -> u32 {
    if has(FLAG_OTHER_LABELS_REPLACE) && voxel.z == view.options.x {
        return min(textureLoad(other_labels, voxel.xy, 0).r, 33u);
    }
    return min(textureLoad(labels, voxel.xy, layer(voxel.z), 0).r, 33u);
}

// The label at a point: that of its voxel, or, for round outlines, the one with the largest linear weight among the four
// voxels around it in the plane.
fn label_at(p: vec3<f32>) -> u32 {
    let voxel = nearest(p);
    if !is_inside(voxel) {
        return 0u;
    }
    if !has(FLAG_SMOOTH_LABELS) {
        return label_of(voxel);
    }
    let q = inside(p);
    let low = vec3<i32>(floor(q));
    let last = view.size.xyz - 1;
    let a = label_of(low);
    let b = label_of(min(low + view.across.xyz, last));
    let c = label_of(min(low + view.along.xyz, last));
    let d = label_of(min(low + view.across.xyz + view.along.xyz, last));
    if a == b && a == c && a == d {
        return a;
    }
    let rest = q - floor(q);
    let f = vec2<f32>(dot(rest, vec3<f32>(view.across.xyz)), dot(rest, vec3<f32>(view.along.xyz)));
    let weight = vec4<f32>((1.0 - f.x) * (1.0 - f.y), f.x * (1.0 - f.y), (1.0 - f.x) * f.y, f.x * f.y);
    let all_four = vec4<u32>(a, b, c, d);
    let none = vec4<f32>(0.0);
    let score_a = dot(weight, select(none, vec4<f32>(1.0), all_four == vec4<u32>(a)));
    let score_b = dot(weight, select(none, vec4<f32>(1.0), all_four == vec4<u32>(b)));
    let score_c = dot(weight, select(none, vec4<f32>(1.0), all_four == vec4<u32>(c)));
    let score_d = dot(weight, select(none, vec4<f32>(1.0), all_four == vec4<u32>(d)));
    var best = a;
    var score = score_a;
    if score_b > score {
        best = b;
        score = score_b;
    }
    if score_c > score {
        best = c;
        score = score_c;
    }
    if score_d > score {
        best = d;
    }
    return best;
}

fn differs(p: vec3<f32>, label: u32, x: f32, y: f32) -> bool {
    return label_at(p + x * view.right.xyz + y * view.down.xyz) != label;
}

// Whether another label lies within `width` pixels.
fn is_outline(p: vec3<f32>, label: u32, width: f32) -> bool {
    let diagonal = width * 0.70710678;
    return differs(p, label, width, 0.0)
        || differs(p, label, -width, 0.0)
        || differs(p, label, 0.0, width)
        || differs(p, label, 0.0, -width)
        || differs(p, label, diagonal, diagonal)
        || differs(p, label, -diagonal, diagonal)
        || differs(p, label, diagonal, -diagonal)
        || differs(p, label, -diagonal, -diagonal);
}

// The label where its organ is drawn, otherwise background.
fn drawn(label: u32) -> u32 {
    return select(0u, label, palette.entries[label].style.y > 0.5);
}

fn over(below: vec3<f32>, colour: vec4<f32>) -> vec3<f32> {
    return mix(below, colour.rgb, colour.a);
}

fn overlay_colour(voxel: vec3<i32>, label: u32, pixel: vec2<f32>) -> vec4<f32> {
    let none = vec4<f32>(0.0);
    if view.options.y == OVERLAY_UNCERTAINTY {
        let uncertainty = f32(textureLoad(overlay, voxel.xy, layer(voxel.z), 0).r) / 255.0;
        let colour = mix(palette.unsure, palette.very_unsure, uncertainty);
        return vec4<f32>(colour.rgb, colour.a * smoothstep(0.1, 0.9, uncertainty));
    }
    if view.options.y == OVERLAY_REMOVED && voxel.z == view.options.x {
        let without = drawn(min(textureLoad(other_labels, voxel.xy, 0).r, 33u));
        if without == 0u || without == label {
            return none;
        }
        let stripe = fract((pixel.x + pixel.y) / (6.0 * view.viewport.z)) < 0.5;
        return vec4<f32>(select(vec3<f32>(0.0), palette.entries[without].colour.rgb, stripe), 0.9);
    }
    if view.options.y == OVERLAY_DIFFERENCE {
        let here = drawn(label);
        let there = drawn(min(textureLoad(overlay, voxel.xy, layer(voxel.z), 0).r, 33u));
        if here == there {
            return none;
        }
        if there == 0u {
            return palette.only_here;
        }
        if here == 0u {
            return palette.only_there;
        }
        return palette.another;
    }
    return none;
}

fn linear_from_srgb(colour: vec3<f32>) -> vec3<f32> {
    let low = colour / 12.92;
    let high = pow((colour + 0.055) / 1.055, vec3<f32>(2.4));
    return select(high, low, colour <= vec3<f32>(0.04045));
}

@fragment
fn fragment(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let pixel = position.xy - view.viewport.xy;
    let p = view.origin.xyz + pixel.x * view.right.xyz + pixel.y * view.down.xyz;
    let voxel = nearest(p);
    if !is_inside(voxel) || voxel.z < view.slab.z || voxel.z >= view.slab.w {
        discard;
    }
    var value = grey(hu_of_pixel(p));
    if has(FLAG_INVERTED) {
        value = 1.0 - value;
    }
    var colour = vec3<f32>(value);

    let label = label_at(p);
    let entry = palette.entries[label];
    let is_drawn = drawn(label) != 0u;
    if is_drawn && view.options.y != OVERLAY_DIFFERENCE {
        colour = over(colour, entry.colour);
    }
    colour = over(colour, overlay_colour(voxel, label, pixel));
    if is_drawn && entry.style.x > 0.0 && is_outline(p, label, entry.style.x * view.viewport.z) {
        colour = entry.colour.rgb;
    }
    if has(FLAG_LINEAR_TARGET) {
        colour = linear_from_srgb(colour);
    }
    return vec4<f32>(colour, 1.0);
}
