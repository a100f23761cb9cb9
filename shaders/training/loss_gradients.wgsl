// From the gradients by the sums of `loss_sums.wgsl` to those by the logits, and by what attention adds to them. With D the gradient by
// the softmax' probabilities p, that by the logits is p (D - sum p D); D is the gradient by p^ of the class or, where equation (4) gives
// the class to the background, by p^ of the background.

// [4][36]
@group(0) @binding(4) var<storage, read> by: array<f32>;
// [slice][pixel][9]
@group(0) @binding(5) var<storage, read_write> by_logits: array<vec4<f32>>;
// [part][slice][36]
@group(0) @binding(6) var<storage, read_write> by_shift: array<f32>;

const PITCH = 37u;

var<workgroup> tile: array<f32, {64*37}>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let slice = group.y;
#for c 0 9
    let shift{c} = shift(slice, {c}u);
    let given{c} = given(slice, {c}u);
    // D wherever the class is not the truth.
    let elsewhere{c} = mix(vec4<f32>(by[{4*c}u], by[{4*c+1}u], by[{4*c+2}u], by[{4*c+3}u]), vec4<f32>(by[0]), given{c});
#end
    var sum_of_shift = 0.0;
    for (var first = 64u * group.x; first < losses.pixels; first += 64u * losses.parts) {
        let pixel = first + local;
        if pixel < losses.pixels {
#put softmax
            var mean = 0.0;
            var background = 0.0;
#for c 0 9
            let p{c} = e{c} / sum;
            mean += dot(p{c}, elsewhere{c});
            background += dot(p{c}, given{c});
#end
            // p^ times what D has more where the class is true.
            let label = label_of(slice, pixel);
            var more = 0.0;
            var most_given = NOTHING;
            var sum_given = 1.0;
            if label != NONE {
                var p = background;
                var ln_p = 0.0;
                if label == 0u {
                    sum_given = 0.0;
#put background
                } else {
                    let z = logits[at + label / 4u][label % 4u] + bitcast<f32>(slices[slice * SLICE_WORDS + label]);
                    p = exp(z - most) / sum;
                    ln_p = z - most - log(sum);
                }
                let of_focal = by[72u + label] * (1.0 - p) * ((1.0 - p) - 2.0 * p * ln_p);
                more = p * by[36u + label] + of_focal + by[108u + label];
                mean += more;
            }
#for c 0 9
            {
                var found = p{c} * (elsewhere{c} - vec4<f32>(mean));
                if label == 0u {
                    // The background's goes to all that make it up, by their shares in it.
                    found += more / sum_given * given{c} * exp(min(z{c} - most_given, vec4<f32>()));
                } else {
                    found += select(vec4<f32>(), vec4<f32>(more), vec4<u32>(label) == vec4<u32>({4*c}u, {4*c+1}u, {4*c+2}u, {4*c+3}u));
                }
                by_logits[at + {c}u] = found;
                tile[local * PITCH + {4*c}u] = found.x;
                tile[local * PITCH + {4*c+1}u] = found.y;
                tile[local * PITCH + {4*c+2}u] = found.z;
                tile[local * PITCH + {4*c+3}u] = found.w;
            }
#end
        }
        workgroupBarrier();
        if local < 36u {
            let count = min(64u, losses.pixels - first);
            for (var n = 0u; n < count; n++) {
                sum_of_shift += tile[n * PITCH + local];
            }
        }
        workgroupBarrier();
    }
    if local < 36u {
        by_shift[(group.x * losses.slices + slice) * 36u + local] = sum_of_shift;
    }
}
