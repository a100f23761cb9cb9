// Of each class the pixels that have its label without attention, and another one with it.

struct Removed {
    pixels: u32,
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(0) var<uniform> removed: Removed;
// Four labels a word, the first lowest.
@group(0) @binding(1) var<storage, read> without_attention: array<u32>;
@group(0) @binding(2) var<storage, read> with_attention: array<u32>;
@group(0) @binding(3) var<storage, read_write> counts: array<atomic<u32>>;

var<workgroup> found: array<atomic<u32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    atomicStore(&found[local], 0u);
    workgroupBarrier();
    if id.x * 4u < removed.pixels {
        let without = without_attention[id.x];
        let under = with_attention[id.x];
        for (var n = 0u; n < 4u; n++) {
            let label = (without >> (8u * n)) & 0xffu;
            if label != ((under >> (8u * n)) & 0xffu) && label < 64u {
                atomicAdd(&found[label], 1u);
            }
        }
    }
    workgroupBarrier();
    let count = atomicLoad(&found[local]);
    if count != 0u {
        atomicAdd(&counts[local], count);
    }
}
