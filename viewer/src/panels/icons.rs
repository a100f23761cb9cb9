//! Small pictures of controls, drawn as lines: no font has all of them, and lines stay sharp at every zoom.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, vec2};

/// A picture of a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Eye,
    EyeShut,
    Target,
    Close,
    Play,
    Pause,
    Stop,
    Again,
    Crosshair,
    Contrast,
    Hand,
    Ruler,
    Ellipse,
    Brush,
    Eraser,
    Bucket,
    OneBig,
    ThreeUp,
    Single,
    Info,
    Warning,
    Error,
    Sun,
    Moon,
}

/// Lines and filled shapes on a grid of 16 by 16.
enum Mark {
    Line(&'static [(f32, f32)]),
    Loop(&'static [(f32, f32)]),
    Solid(&'static [(f32, f32)]),
    Ring((f32, f32), f32),
    Dot((f32, f32), f32),
    Oval((f32, f32), (f32, f32)),
}

use Mark::{Dot, Line, Loop, Oval, Ring, Solid};

const LID: Mark = Line(&[(1.0, 8.0), (3.0, 5.5), (5.5, 4.0), (8.0, 3.5), (10.5, 4.0), (13.0, 5.5), (15.0, 8.0)]);
const LOWER_LID: Mark =
    Line(&[(1.0, 8.0), (3.0, 10.5), (5.5, 12.0), (8.0, 12.5), (10.5, 12.0), (13.0, 10.5), (15.0, 8.0)]);
const FRAME: Mark = Loop(&[(1.5, 2.5), (14.5, 2.5), (14.5, 13.5), (1.5, 13.5)]);

fn marks(icon: Icon) -> &'static [Mark] {
    match icon {
        Icon::Eye => &[LID, LOWER_LID, Dot((8.0, 8.0), 2.4)],
        Icon::EyeShut => &[
            LOWER_LID,
            Line(&[(3.2, 10.8), (1.8, 13.0)]),
            Line(&[(8.0, 12.5), (8.0, 15.0)]),
            Line(&[(12.8, 10.8), (14.2, 13.0)]),
        ],
        Icon::Target => &[Ring((8.0, 8.0), 6.0), Dot((8.0, 8.0), 2.4)],
        Icon::Close => &[Line(&[(3.5, 3.5), (12.5, 12.5)]), Line(&[(12.5, 3.5), (3.5, 12.5)])],
        Icon::Play => &[Solid(&[(4.5, 2.5), (13.5, 8.0), (4.5, 13.5)])],
        Icon::Pause => &[
            Solid(&[(3.5, 3.0), (6.5, 3.0), (6.5, 13.0), (3.5, 13.0)]),
            Solid(&[(9.5, 3.0), (12.5, 3.0), (12.5, 13.0), (9.5, 13.0)]),
        ],
        Icon::Stop => &[Solid(&[(3.5, 3.5), (12.5, 3.5), (12.5, 12.5), (3.5, 12.5)])],
        Icon::Again => &[
            Line(&[(12.9, 4.6), (11.0, 3.0), (8.0, 2.2), (5.0, 3.0), (2.9, 5.2), (2.2, 8.0), (2.9, 10.8), (5.0, 13.0)]),
            Line(&[(5.0, 13.0), (8.0, 13.8), (11.0, 13.0), (13.1, 10.8), (13.8, 8.0)]),
            Line(&[(13.3, 1.2), (13.1, 4.8), (9.5, 4.8)]),
        ],
        Icon::Crosshair => &[
            Line(&[(8.0, 1.0), (8.0, 6.0)]),
            Line(&[(8.0, 10.0), (8.0, 15.0)]),
            Line(&[(1.0, 8.0), (6.0, 8.0)]),
            Line(&[(10.0, 8.0), (15.0, 8.0)]),
        ],
        Icon::Contrast => &[
            Ring((8.0, 8.0), 6.0),
            Solid(&[(8.0, 2.0), (11.0, 2.8), (13.2, 5.0), (14.0, 8.0), (13.2, 11.0), (11.0, 13.2), (8.0, 14.0)]),
        ],
        Icon::Hand => &[
            Line(&[(8.0, 1.0), (8.0, 15.0)]),
            Line(&[(1.0, 8.0), (15.0, 8.0)]),
            Line(&[(6.0, 3.0), (8.0, 1.0), (10.0, 3.0)]),
            Line(&[(6.0, 13.0), (8.0, 15.0), (10.0, 13.0)]),
            Line(&[(3.0, 6.0), (1.0, 8.0), (3.0, 10.0)]),
            Line(&[(13.0, 6.0), (15.0, 8.0), (13.0, 10.0)]),
        ],
        Icon::Ruler => &[
            Loop(&[(1.0, 11.5), (11.5, 1.0), (15.0, 4.5), (4.5, 15.0)]),
            Line(&[(4.0, 8.5), (5.5, 10.0)]),
            Line(&[(6.5, 6.0), (8.0, 7.5)]),
            Line(&[(9.0, 3.5), (10.5, 5.0)]),
        ],
        Icon::Ellipse => &[Oval((8.0, 8.0), (6.5, 4.5)), Dot((8.0, 8.0), 1.0)],
        Icon::Brush => &[
            Loop(&[(14.5, 1.5), (8.0, 10.0), (6.0, 8.0)]),
            Solid(&[(5.0, 9.0), (7.0, 11.0), (6.0, 13.5), (1.5, 14.5), (3.0, 12.5), (3.2, 10.2)]),
        ],
        Icon::Eraser => &[
            Loop(&[(2.0, 10.0), (9.0, 3.0), (14.0, 8.0), (8.5, 13.5), (5.5, 13.5)]),
            Line(&[(5.5, 6.5), (10.5, 11.5)]),
            Line(&[(5.5, 13.5), (14.5, 13.5)]),
        ],
        Icon::Bucket => &[
            Loop(&[(2.0, 8.5), (7.5, 3.0), (13.0, 8.5), (7.5, 14.0)]),
            Line(&[(2.0, 8.5), (13.0, 8.5)]),
            Dot((14.2, 12.5), 1.3),
            Line(&[(7.5, 3.0), (5.5, 1.0)]),
        ],
        Icon::OneBig => &[FRAME, Line(&[(10.0, 2.5), (10.0, 13.5)]), Line(&[(10.0, 8.0), (14.5, 8.0)])],
        Icon::ThreeUp => &[FRAME, Line(&[(5.8, 2.5), (5.8, 13.5)]), Line(&[(10.2, 2.5), (10.2, 13.5)])],
        Icon::Single => &[FRAME],
        Icon::Info => &[Ring((8.0, 8.0), 6.5), Line(&[(8.0, 7.2), (8.0, 11.5)]), Dot((8.0, 4.8), 1.0)],
        Icon::Warning => {
            &[Loop(&[(8.0, 1.8), (15.0, 14.0), (1.0, 14.0)]), Line(&[(8.0, 6.0), (8.0, 10.0)]), Dot((8.0, 12.0), 0.9)]
        }
        Icon::Error => &[Ring((8.0, 8.0), 6.5), Line(&[(5.5, 5.5), (10.5, 10.5)]), Line(&[(10.5, 5.5), (5.5, 10.5)])],
        Icon::Sun => &[
            Ring((8.0, 8.0), 3.0),
            Line(&[(8.0, 0.8), (8.0, 3.0)]),
            Line(&[(8.0, 13.0), (8.0, 15.2)]),
            Line(&[(0.8, 8.0), (3.0, 8.0)]),
            Line(&[(13.0, 8.0), (15.2, 8.0)]),
            Line(&[(2.9, 2.9), (4.4, 4.4)]),
            Line(&[(11.6, 11.6), (13.1, 13.1)]),
            Line(&[(2.9, 13.1), (4.4, 11.6)]),
            Line(&[(11.6, 4.4), (13.1, 2.9)]),
        ],
        Icon::Moon => &[Loop(&[
            (9.5, 1.8),
            (6.0, 2.6),
            (3.2, 5.2),
            (2.4, 8.6),
            (3.6, 12.0),
            (6.6, 14.2),
            (10.2, 14.2),
            (13.6, 11.8),
            (10.6, 11.6),
            (8.0, 9.8),
            (7.0, 6.8),
            (7.6, 4.0),
        ])],
    }
}

/// Draws `icon` as large as `rect` allows.
pub fn paint(painter: &Painter, icon: Icon, rect: Rect, colour: Color32) {
    let scale = rect.width().min(rect.height()) / 16.0;
    let corner = rect.center() - vec2(8.0, 8.0) * scale;
    let at = |&(x, y): &(f32, f32)| -> Pos2 { corner + vec2(x, y) * scale };
    let stroke = Stroke::new((1.35 * scale).max(1.0), colour);
    painter.extend(marks(icon).iter().map(|mark| match mark {
        Line(points) => Shape::line(points.iter().map(at).collect(), stroke),
        Loop(points) => Shape::closed_line(points.iter().map(at).collect(), stroke),
        Solid(points) => Shape::convex_polygon(points.iter().map(at).collect(), colour, Stroke::NONE),
        Ring(centre, radius) => Shape::circle_stroke(at(centre), radius * scale, stroke),
        Dot(centre, radius) => Shape::circle_filled(at(centre), radius * scale, colour),
        Oval(centre, (a, b)) => Shape::ellipse_stroke(at(centre), vec2(*a, *b) * scale, stroke),
    }));
}
