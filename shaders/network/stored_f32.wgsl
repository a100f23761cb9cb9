// Before kernels that read or write maps and weights: these as f32.

alias Number = f32;
alias Stored = vec4<f32>;

fn narrowed(value: vec4<f32>) -> Stored {
    return value;
}
