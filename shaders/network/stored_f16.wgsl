// Before kernels that read or write maps and weights: these as f16, of which half as many bytes travel. Whatever is added up is f32.
enable f16;

alias Number = f16;
alias Stored = vec4<f16>;

// The largest of them.
const MOST_STORED = vec4<f32>(65504.0);

// What is larger becomes the largest: what is infinite would be nothing behind a negative weight and a ReLU, and nobody would see it. (What
// is infinite here already was in the input: of numbers below 65504 no sum comes near the largest f32.) Not `clamp`, which may make a number
// of what is none.
fn narrowed(value: vec4<f32>) -> Stored {
    let below = select(value, MOST_STORED, value > MOST_STORED);
    return Stored(select(below, -MOST_STORED, below < -MOST_STORED));
}
