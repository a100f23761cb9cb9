// Over all voxels, by class, as `loss/fused_cpu.rs` has them: the sums of the re-calibrated probability p^, of p^ where the class is true,
// of (1 - p^)^2 ln p^ where it is, and of ln p^ where it is.
//
// A workgroup takes 64 pixels at a time: every thread computes the probabilities of one and leaves them in workgroup memory, where one
// thread for each class adds them up in their order.

// [slice][part][4][36]
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

const PITCH = 37u;

var<workgroup> tile: array<f32, {64*37}>;
var<workgroup> of_label: array<vec3<f32>, 64>;
var<workgroup> label_at: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let slice = group.y;
#for c 0 9
    let shift{c} = shift(slice, {c}u);
    let given{c} = given(slice, {c}u);
#end
    var probability = 0.0;
    var intersection = 0.0;
    var focal = 0.0;
    var log_p = 0.0;
    for (var first = 64u * group.x; first < losses.pixels; first += 64u * losses.parts) {
        let pixel = first + local;
        var label = NONE;
        if pixel < losses.pixels {
#put softmax
            var background = 0.0;
#for c 0 9
            {
                let p = e{c} / sum;
                background += dot(p, given{c});
                let own = p * (vec4<f32>(1.0) - given{c});
#for k 0 2
                tile[local * PITCH + {4*c+2*k}u] = own[{2*k}u];
                tile[local * PITCH + {4*c+2*k+1}u] = own[{2*k+1}u];
#end
            }
#end
            tile[local * PITCH] = background;
            label = label_of(slice, pixel);
            var p = background;
            var ln_p = 0.0;
            if label == 0u {
                var most_given = NOTHING;
                var sum_given = 0.0;
#put background
            } else if label != NONE {
                p = tile[local * PITCH + label];
                ln_p = logits[at + label / 4u][label % 4u] + bitcast<f32>(slices[slice * SLICE_WORDS + label]) - most - log(sum);
            }
            of_label[local] = vec3<f32>(p, (1.0 - p) * (1.0 - p) * ln_p, ln_p);
        }
        label_at[local] = label;
        workgroupBarrier();
        if local < 34u {
            let count = min(64u, losses.pixels - first);
            for (var n = 0u; n < count; n++) {
                probability += tile[n * PITCH + local];
                if label_at[n] == local {
                    let found = of_label[n];
                    intersection += found.x;
                    focal += found.y;
                    log_p += found.z;
                }
            }
        }
        workgroupBarrier();
    }
    if local < 36u {
        let to = (slice * losses.parts + group.x) * 144u + local;
        result[to] = probability;
        result[to + 36u] = intersection;
        result[to + 72u] = focal;
        result[to + 108u] = log_p;
    }
}
