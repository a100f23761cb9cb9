// What both passes over the voxels of a batch share: logits with what attention adds to them, their softmax, and equation (4).

struct Losses {
    pixels: u32,
    // Parts that the pixels of a slice are shared among.
    parts: u32,
    slices: u32,
    unused0: u32,
}

@group(0) @binding(0) var<uniform> losses: Losses;
// [slice][pixel][9]: 34 classes, and two numbers that are none.
@group(0) @binding(1) var<storage, read> logits: array<vec4<f32>>;
// [slice][pixel], four in a word.
@group(0) @binding(2) var<storage, read> labels: array<u32>;
// Of every slice 36 numbers that are added to the logits, and two words with a bit for every class that has a probability of its own
// after equation (4); the others' goes to the background.
@group(0) @binding(3) var<storage, read> slices: array<u32>;

// Words of a slice.
const SLICE_WORDS = 38u;
// A label that counts nowhere.
const NONE = 255u;
// A logit whose exponential is nothing.
const NOTHING = -3.0e38;

// What is added to the logits of four classes.
fn shift(slice: u32, c: u32) -> vec4<f32> {
    let at = slice * SLICE_WORDS + 4u * c;
    return vec4<f32>(bitcast<f32>(slices[at]), bitcast<f32>(slices[at + 1u]), bitcast<f32>(slices[at + 2u]), bitcast<f32>(slices[at + 3u]));
}

// Whether a class has a probability of its own.
fn counts(slice: u32, class_: u32) -> bool {
    return ((slices[slice * SLICE_WORDS + 36u + class_ / 32u] >> (class_ % 32u)) & 1u) != 0u;
}

// 1 for each of four classes that the background is given, itself among them, else 0.
fn given(slice: u32, c: u32) -> vec4<f32> {
    let first = 4u * c;
    let own = vec4<bool>(counts(slice, first), counts(slice, first + 1u), counts(slice, first + 2u), counts(slice, first + 3u));
    var result = select(vec4<f32>(1.0), vec4<f32>(), own);
    if c == 0u {
        result.x = 1.0;
    }
    return result;
}

// The label of a pixel, or NONE where equation (4) leaves its class nothing.
fn label_of(slice: u32, pixel: u32) -> u32 {
    let at = slice * losses.pixels + pixel;
    let label = (labels[at / 4u] >> (8u * (at % 4u))) & 255u;
    return select(NONE, label, label == 0u || (label < 34u && counts(slice, label)));
}

fn largest(z: vec4<f32>) -> f32 {
    return max(max(z.x, z.y), max(z.z, z.w));
}

fn total(z: vec4<f32>) -> f32 {
    return z.x + z.y + z.z + z.w;
}

// Of a pixel: its logits with the shift of their slice, the largest of them, and the exponentials that the softmax is made of.
#piece softmax
    let at = (slice * losses.pixels + pixel) * 9u;
#for c 0 9
    var z{c} = logits[at + {c}u] + shift{c};
#end
    z8 = vec4<f32>(z8.xy, NOTHING, NOTHING);
    var most = largest(z0);
#for c 1 9
    most = max(most, largest(z{c}));
#end
    var sum = 0.0;
#for c 0 9
    let e{c} = exp(z{c} - most);
    sum += total(e{c});
#end
#end

// ln p^ of the background, from the logits: the probability may be too small to have a logarithm. What makes it up are the classes that it
// is given.
#piece background
#for c 0 9
    most_given = max(most_given, largest(select(vec4<f32>(NOTHING), z{c}, given{c} > vec4<f32>(0.5))));
#end
#for c 0 9
    sum_given += dot(exp(min(z{c} - most_given, vec4<f32>())), given{c});
#end
    ln_p = most_given + log(sum_given) - most - log(sum);
#end
