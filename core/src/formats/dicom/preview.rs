//! A slice in grey values, for whoever chooses a series or waits for one.

/// From black to white in the picture of a CT series: lungs and soft tissue can be told.
const CT_HU: [f64; 2] = [-700.0, 300.0];

/// A slice of `size` columns and rows as grey values, at most `side` wide and high: width and height, and the pixels row by row. A CT in a
/// window of soft tissue and lung, anything else from its lowest to its highest value.
pub(super) fn picture(values: &[i16], size: [usize; 2], is_ct: bool, side: usize) -> ([usize; 2], Vec<u8>) {
    let [columns, rows] = size;
    let [low, high] = if is_ct {
        CT_HU
    } else {
        [values.iter().min(), values.iter().max()].map(|value| value.copied().unwrap_or_default().into())
    };
    let step = (columns.max(rows) as f64 / side.max(1) as f64).max(1.0);
    let [width, height] = size.map(|n| ((n as f64 / step) as usize).max(1));
    let grey = |x: usize, y: usize| {
        let [x, y] = [x, y].map(|n| ((n as f64 + 0.5) * step) as usize);
        let value = f64::from(values[x.min(columns - 1) + columns * y.min(rows - 1)]);
        (255.0 * (value - low) / (high - low).max(1.0)).clamp(0.0, 255.0) as u8
    };
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| grey(x, y)).collect();
    ([width, height], pixels)
}
