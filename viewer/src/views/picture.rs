//! The views as a PNG: a screenshot of the window, cut to the views.

use std::sync::Arc;

use egui::{ColorImage, Context, Id, Rect};

use crate::document::{Document, FileRequest, Outbox};

/// A screenshot that has arrived.
#[derive(Clone, Default)]
struct Screenshot(Arc<ColorImage>);

fn id() -> Id {
    Id::unique("picture of the views")
}

/// The frame in which the picture is taken.
#[derive(Clone, Copy, Default)]
struct Wanted(bool);

fn wanted() -> Id {
    Id::unique("a picture of the views is wanted")
}

/// Asks for a picture of the views: it is taken in the next frame, in which nothing lies over them, and offered for saving a frame or
/// two later.
pub fn request_picture(ctx: &Context) {
    ctx.data_mut(|data| data.insert_temp(wanted(), Wanted(true)));
    ctx.request_repaint();
}

/// Whether this frame becomes a picture.
pub fn is_taking_picture(ctx: &Context) -> bool {
    ctx.data(|data| data.get_temp::<Wanted>(wanted())).is_some_and(|wanted| wanted.0)
}

/// Takes the picture of this frame, if one is wanted.
pub fn take(ctx: &Context) {
    if ctx.data_mut(|data| data.remove_temp::<Wanted>(wanted())).is_none_or(|wanted| !wanted.0) {
        return;
    }
    let arrived = ctx.clone();
    ctx.request_screenshot(move |image| {
        arrived.data_mut(|data| data.insert_temp(id(), Screenshot(image)));
        arrived.request_repaint();
    });
}

/// Offers a screenshot that has arrived for saving, cut to `rect`.
pub fn deliver(ctx: &Context, document: &Document, outbox: &mut Outbox, rect: Rect) {
    let Some(Screenshot(image)) = ctx.data_mut(|data| data.remove_temp(id())) else { return };
    let picture = cut(&image, rect, ctx.pixels_per_point());
    let weights = document.model.weights.as_ref();
    let model = weights.map_or("no weights".to_string(), |w| format!("{}, SHA-256 {}", w.name, w.sha256));
    match encode(&picture, &model) {
        Ok(bytes) => {
            let name = format!("{}-{}.png", document.view.main.name().to_lowercase(), document.view.slice() + 1);
            let name = document.study.as_ref().map_or(name.clone(), |study| study.file_name(&name));
            outbox.request(FileRequest::Save { name, bytes });
        }
        Err(error) => outbox.notices.error(format!("the picture could not be made ({error})")),
    }
}

fn cut(image: &ColorImage, rect: Rect, pixels_per_point: f32) -> ColorImage {
    let [width, height] = image.size;
    let pixels = |points: f32, most: usize| ((points * pixels_per_point).round().max(0.0) as usize).min(most);
    let (left, top) = (pixels(rect.left(), width), pixels(rect.top(), height));
    let (right, bottom) = (pixels(rect.right(), width), pixels(rect.bottom(), height));
    image.region_by_pixels([left, top], [right - left, bottom - top])
}

fn encode(picture: &ColorImage, model: &str) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width() as u32, picture.height() as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.add_text_chunk("Software".into(), concat!("AttentionAnatomy ", env!("CARGO_PKG_VERSION")).into())?;
    encoder.add_text_chunk("Model".into(), model.into())?;
    encoder.add_text_chunk("Disclaimer".into(), "Not a medical device".into())?;
    let mut writer = encoder.write_header()?;
    let rgb: Vec<u8> = picture.pixels.iter().flat_map(|p| [p.r(), p.g(), p.b()]).collect();
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_holds_the_pixels_and_names_the_model() {
        let mut picture = ColorImage::filled([3, 2], egui::Color32::BLACK);
        picture.pixels[4] = egui::Color32::from_rgb(10, 200, 30);
        let bytes = encode(&picture, "light, SHA-256 abc").unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels[12..15], [10, 200, 30]);
        let text: Vec<_> = reader.info().uncompressed_latin1_text.iter().map(|t| t.text.as_str()).collect();
        assert!(text.contains(&"Not a medical device") && text.contains(&"light, SHA-256 abc"), "{text:?}");
    }
}
