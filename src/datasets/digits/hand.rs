//! A hand that writes digits, each time differently.

use super::draws::Draws;
use super::raster::{Canvas, Segment};
use super::strokes::STYLES;
use super::{PIXELS, SIDE};

/// How far single points of a style stray, in hundredths of its square.
const WOBBLE: f32 = 3.5;
/// How far the knots of the bending sheet stray, in hundredths.
const BEND: f32 = 7.0;
/// Knots of the bending sheet along each side.
const KNOTS: usize = 4;
/// Straight pieces between two points of a stroke.
const PIECES: usize = 4;

/// Writes `digit` and looks at it: one grey level per pixel, row by row.
pub(super) fn write(digit: u8, draws: &mut Draws) -> [u8; PIXELS] {
    let mut strokes = shaped(digit, draws);
    bend(&mut strokes, draws);
    slant(&mut strokes, draws);
    place(&mut strokes, draws);
    let mut canvas = Canvas::new();
    ink(&strokes, &mut canvas, draws);
    if draws.chance(STRAY) {
        stray(&mut canvas, draws);
    }
    let noise = draws.between(0.0, NOISE);
    canvas.develop(noise, draws)
}
const STRAY: f32 = 0.15;
const NOISE: f32 = 0.12;

type Point = [f32; 2];

/// A style of the digit with every point moved a little, as fine polylines.
fn shaped(digit: u8, draws: &mut Draws) -> Vec<Vec<Point>> {
    let styles = STYLES[usize::from(digit)];
    let style = styles[draws.below(styles.len())];
    style
        .iter()
        .map(|stroke| {
            let mut points: Vec<Point> = Vec::with_capacity(stroke.len());
            for (index, &[x, y]) in stroke.iter().enumerate() {
                let corner = index > 0 && stroke[index - 1] == [x, y];
                points.push(if corner {
                    points[index - 1]
                } else {
                    [x as f32 + WOBBLE * draws.bell(), y as f32 + WOBBLE * draws.bell()]
                });
            }
            smooth(&points)
        })
        .collect()
}

/// A Catmull-Rom curve through the points; points that stand twice in a row are corners.
fn smooth(points: &[Point]) -> Vec<Point> {
    let mut curve = vec![points[0]];
    for index in 1..points.len() {
        let [b, c] = [points[index - 1], points[index]];
        if b == c {
            continue;
        }
        let a = points[index.saturating_sub(2)];
        let d = points[(index + 1).min(points.len() - 1)];
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            curve.push([0, 1].map(|axis| catmull_rom(a[axis], b[axis], c[axis], d[axis], t)));
        }
    }
    curve
}

/// From `b` to `c` as `t` goes from 0 to 1, with slopes `(c - a) / 2` and `(d - b) / 2`.
fn catmull_rom(a: f32, b: f32, c: f32, d: f32, t: f32) -> f32 {
    let cubic = 3.0 * (b - c) + d - a;
    let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
    b + 0.5 * t * (c - a + t * (square + t * cubic))
}

/// Bends the sheet: knots of a coarse grid move at random, and all between them follows smoothly.
fn bend(strokes: &mut [Vec<Point>], draws: &mut Draws) {
    let knots: [[Point; KNOTS]; KNOTS] = std::array::from_fn(|_| {
        std::array::from_fn(|_| [BEND * draws.bell(), BEND * draws.bell()])
    });
    for point in strokes.iter_mut().flatten() {
        let [(column, right), (row, down)] = point.map(knot_before);
        for axis in [0, 1] {
            let across = |row: usize| {
                let [left, next] = [knots[row][column][axis], knots[row][column + 1][axis]];
                left + right * (next - left)
            };
            point[axis] += across(row) + down * (across(row + 1) - across(row));
        }
    }
}

/// The knot before a coordinate, and how far it is to the next in a smooth step from 0 to 1.
fn knot_before(coordinate: f32) -> (usize, f32) {
    let scaled = (coordinate / 100.0).clamp(0.0, 0.999) * (KNOTS - 1) as f32;
    let t = scaled - scaled.floor();
    (scaled as usize, t * t * (3.0 - 2.0 * t))
}

/// Squeezes, slants and turns the digit.
fn slant(strokes: &mut [Vec<Point>], draws: &mut Draws) {
    let width = draws.between(0.7, 1.15);
    let shear = 0.18 * draws.bell();
    // A turn by 2 atan(t), without sines.
    let t = 0.05 * draws.bell();
    let (cosine, sine) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
    for point in strokes.iter_mut().flatten() {
        let y = point[1] - 50.0;
        let x = width * (point[0] - 50.0) - shear * y;
        *point = [cosine * x - sine * y, sine * x + cosine * y];
    }
}

/// Puts the digit on the canvas, in pixels: a random height, near the middle.
fn place(strokes: &mut [Vec<Point>], draws: &mut Draws) {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for point in strokes.iter().flatten() {
        for axis in [0, 1] {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    let extent = (high[0] - low[0]).max(high[1] - low[1]);
    let scale = draws.between(15.0, 20.0) / extent;
    let shift = [1.1 * draws.bell(), 1.1 * draws.bell()];
    for point in strokes.iter_mut().flatten() {
        for axis in [0, 1] {
            let centred = point[axis] - 0.5 * (low[axis] + high[axis]);
            point[axis] = 0.5 * SIDE as f32 + scale * centred + shift[axis];
        }
    }
}

/// Inks the strokes with a pen whose width and pressure change on the way.
fn ink(strokes: &[Vec<Point>], canvas: &mut Canvas, draws: &mut Draws) {
    let width = draws.between(0.7, 1.7);
    let fade = draws.between(0.9, 1.8);
    for stroke in strokes {
        let radii = [(); 3].map(|()| width * (1.0 + 0.2 * draws.bell()));
        let inks = [(); 3].map(|()| draws.between(0.7, 1.1).min(1.0));
        let last = (stroke.len() - 1) as f32;
        for (index, ends) in stroke.windows(2).enumerate() {
            let t = (index as f32 + 0.5) / last;
            let (radius, ink) = (bow(radii, t).max(0.5), bow(inks, t));
            canvas.draw(&Segment { from: ends[0], to: ends[1], radius, ink }, fade);
        }
    }
}

/// A quadratic Bézier curve.
fn bow([start, middle, end]: [f32; 3], t: f32) -> f32 {
    let (a, b) = (start + t * (middle - start), middle + t * (end - middle));
    a + t * (b - a)
}

/// A short stroke that does not belong to the digit.
fn stray(canvas: &mut Canvas, draws: &mut Draws) {
    let side = SIDE as f32;
    let from = [draws.between(0.0, side), draws.between(0.0, side)];
    let to = from.map(|value| value + 3.0 * draws.bell());
    let ink = draws.between(0.3, 0.8);
    canvas.draw(&Segment { from, to, radius: draws.between(0.4, 0.9), ink }, 1.2);
}
