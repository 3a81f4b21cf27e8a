//! A hand that writes digits, each time differently.

use super::draws::Draws;
use super::raster::{Canvas, Segment};
use super::strokes::STYLES;
use super::{PIXELS, SIDE};

/// Standard deviation by which each point of a style strays, in hundredths of the style's square.
const WOBBLE: f32 = 2.6;
/// Straight pieces between two points of a stroke.
const PIECES: usize = 4;
/// Knots along each side of the sheet that is bent.
const KNOTS: usize = 3;
/// Standard deviation by which each knot moves, in hundredths.
const BEND: f32 = 6.0;
/// From the narrowest to the widest digit, as a factor.
const WIDTH: [f32; 2] = [0.75, 1.15];
/// Standard deviation of the slant: how far x moves per y.
const SLANT: f32 = 0.16;
/// Standard deviation of the tangent of half the turn; 0.045 is about 5 degrees.
const TURN: f32 = 0.045;
/// From the smallest to the largest digit: its longer side, in pixels.
const SIZE: [f32; 2] = [16.5, 20.5];
/// Standard deviation of the digit's middle, along each axis, in pixels.
const SHIFT: f32 = 0.9;
/// From the thinnest to the thickest pen: half its width, in pixels.
const PEN: [f32; 2] = [0.8, 1.7];
/// Standard deviation of the pen's width along one stroke, as a share of it.
const PRESSURE: f32 = 0.2;
/// From the palest ink to more than enough, which counts as 1.
const INK: [f32; 2] = [0.7, 1.1];
/// From the sharpest to the softest edge, in pixels.
const FADE: [f32; 2] = [0.9, 1.8];
/// How often a sheet bears a stray mark.
const STRAY: f32 = 0.15;
/// From none to the most noise: its standard deviation, where ink is 1.
const NOISE: [f32; 2] = [0.0, 0.1];

/// Where a pen is, `[x, y]`.
type Point = [f32; 2];

/// Writes `digit`: one grey level per pixel, row by row, 0 for paper and 255 for ink.
pub(super) fn write(digit: u8, draws: &mut Draws) -> [u8; PIXELS] {
    let mut strokes = shape(digit, draws);
    bend(&mut strokes, draws);
    slant(&mut strokes, draws);
    place(&mut strokes, draws);
    let mut canvas = Canvas::new();
    ink(&strokes, &mut canvas, draws);
    if draws.chance(STRAY) {
        stray(&mut canvas, draws);
    }
    let noise = draws.between(NOISE);
    canvas.develop(noise, draws)
}

/// A style of the digit with every point moved a little, as fine polylines.
fn shape(digit: u8, draws: &mut Draws) -> Vec<Vec<Point>> {
    let styles = STYLES[usize::from(digit)];
    let style = styles[draws.below(styles.len())];
    style.iter().map(|stroke| smooth(&wobble(stroke, draws))).collect()
}

/// The points of a stroke, moved at random. Both halves of a corner move together.
fn wobble(stroke: &[[u8; 2]], draws: &mut Draws) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::with_capacity(stroke.len());
    for (index, point) in stroke.iter().enumerate() {
        let corner = index > 0 && stroke[index - 1] == *point;
        let moved = if corner {
            points[index - 1]
        } else {
            point.map(|value| f32::from(value) + WOBBLE * draws.bell())
        };
        points.push(moved);
    }
    points
}

/// A Catmull-Rom curve through the points; where a point stands twice it turns a corner.
fn smooth(points: &[Point]) -> Vec<Point> {
    let mut curve = vec![points[0]];
    for next in 1..points.len() {
        let [b, c] = [points[next - 1], points[next]];
        if b == c {
            continue;
        }
        let a = points[next.saturating_sub(2)];
        let d = points[(next + 1).min(points.len() - 1)];
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            curve.push([0, 1].map(|axis| catmull_rom([a, b, c, d].map(|point| point[axis]), t)));
        }
    }
    curve
}

/// From `b` to `c` as `t` goes from 0 to 1, with slopes `(c - a) / 2` and `(d - b) / 2`.
fn catmull_rom([a, b, c, d]: [f32; 4], t: f32) -> f32 {
    let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
    let cubic = 3.0 * (b - c) + d - a;
    b + 0.5 * t * (c - a + t * (square + t * cubic))
}

/// Bends the sheet: the knots of a coarse grid move at random, and what lies between follows
/// smoothly.
fn bend(strokes: &mut [Vec<Point>], draws: &mut Draws) {
    let knots: [[Point; KNOTS]; KNOTS] =
        [(); KNOTS].map(|()| [(); KNOTS].map(|()| [(); 2].map(|()| BEND * draws.bell())));
    for point in strokes.iter_mut().flatten() {
        let [(column, right), (row, down)] = point.map(knot_before);
        for axis in [0, 1] {
            let along =
                |row: usize| mix(knots[row][column][axis], knots[row][column + 1][axis], right);
            point[axis] += mix(along(row), along(row + 1), down);
        }
    }
}

/// The knot before a coordinate, and how much of the next knot's movement it takes: a smooth
/// step from 0 to 1.
fn knot_before(coordinate: f32) -> (usize, f32) {
    let place = (coordinate / 100.0).clamp(0.0, 0.999) * (KNOTS - 1) as f32;
    let t = place - place.floor();
    (place as usize, t * t * (3.0 - 2.0 * t))
}

/// Squeezes, slants and turns the digit about its middle.
fn slant(strokes: &mut [Vec<Point>], draws: &mut Draws) {
    let width = draws.between(WIDTH);
    let slant = SLANT * draws.bell();
    let t = TURN * draws.bell();
    // A turn by 2 atan(t) without sines, whose last bits depend on the machine.
    let (cosine, sine) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
    for point in strokes.iter_mut().flatten() {
        let [x, y] = point.map(|value| value - 50.0);
        let x = width * x - slant * y;
        *point = [cosine * x - sine * y, sine * x + cosine * y];
    }
}

/// Puts the digit on the canvas, near its middle and in some size.
fn place(strokes: &mut [Vec<Point>], draws: &mut Draws) {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for point in strokes.iter().flatten() {
        for axis in [0, 1] {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    // Any two points of a stroke differ by far more than they wobble, so no digit is a dot.
    let scale = draws.between(SIZE) / (high[0] - low[0]).max(high[1] - low[1]);
    let middle = [(); 2].map(|()| 0.5 * SIDE as f32 + SHIFT * draws.bell());
    for point in strokes.iter_mut().flatten() {
        for axis in [0, 1] {
            point[axis] = middle[axis] + scale * (point[axis] - mix(low[axis], high[axis], 0.5));
        }
    }
}

/// Inks the strokes with a pen whose width and darkness change on the way.
fn ink(strokes: &[Vec<Point>], canvas: &mut Canvas, draws: &mut Draws) {
    let pen = draws.between(PEN);
    let fade = draws.between(FADE);
    for stroke in strokes {
        let radii = [(); 3].map(|()| pen * (1.0 + PRESSURE * draws.bell()));
        let inks = [(); 3].map(|()| draws.between(INK).min(1.0));
        let pieces = (stroke.len() - 1) as f32;
        for (index, ends) in stroke.windows(2).enumerate() {
            let t = (index as f32 + 0.5) / pieces;
            let (radius, ink) = (bow(radii, t).max(0.5), bow(inks, t));
            canvas.draw(&Segment { from: ends[0], to: ends[1], radius, ink }, fade);
        }
    }
}

/// A mark that does not belong to the digit: short, thin and pale, anywhere.
fn stray(canvas: &mut Canvas, draws: &mut Draws) {
    let from = [(); 2].map(|()| draws.between([0.0, SIDE as f32]));
    let to = from.map(|value| value + 3.0 * draws.bell());
    let ink = draws.between([0.3, 0.8]);
    let radius = draws.between([0.4, 0.9]);
    canvas.draw(&Segment { from, to, radius, ink }, 1.2);
}

/// A quadratic Bézier curve.
fn bow([start, middle, end]: [f32; 3], t: f32) -> f32 {
    mix(mix(start, middle, t), mix(middle, end, t), t)
}

/// From `a` to `b` as `t` goes from 0 to 1.
fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + t * (b - a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_through_its_points_and_straight_where_they_are_straight() {
        let curve = smooth(&[[0.0, 0.0], [8.0, 0.0], [16.0, 0.0]]);
        assert_eq!(curve.len(), 1 + 2 * PIECES);
        assert_eq!(
            [curve[0], curve[PIECES], curve[2 * PIECES]].map(|point| point[0]),
            [0.0, 8.0, 16.0]
        );
        assert!(curve.iter().all(|point| point[1] == 0.0));
        assert_eq!(catmull_rom([-8.0, 0.0, 8.0, 16.0], 0.25), 2.0);
    }

    #[test]
    fn corners_stay_corners() {
        let mut draws = Draws::new([1, 2, 3, 4]);
        let points = wobble(&[[0, 0], [50, 0], [50, 0], [50, 50]], &mut draws);
        assert_eq!(points[1], points[2]);
        let curve = smooth(&points);
        assert_eq!(curve.len(), 1 + 2 * PIECES);
        for axis in [0, 1] {
            assert!((curve[PIECES][axis] - points[1][axis]).abs() < 1e-4);
        }
    }

    #[test]
    fn bending_is_continuous_across_knots_and_beyond_the_sheet() {
        for (left, right) in [(49.999, 50.001), (-20.0, 0.0), (100.0, 120.0)] {
            let mut points = vec![vec![[left, 30.0], [right, 30.0]]];
            bend(&mut points, &mut Draws::new([1, 2, 3, 4]));
            let [a, b] = [points[0][0], points[0][1]];
            assert!((a[1] - b[1]).abs() < 0.01, "{a:?} {b:?}");
        }
    }

    #[test]
    fn every_style_is_placed_in_the_middle() {
        for (digit, index) in (0..10).flat_map(|digit| (0..50).map(move |index| (digit, index))) {
            let mut draws = Draws::new([1, 2, digit, index]);
            let mut strokes = shape(digit as u8, &mut draws);
            place(&mut strokes, &mut draws);
            for point in strokes.iter().flatten().flatten() {
                let reach = 0.5 * SIZE[1] + 3.5 * SHIFT;
                assert!((point - 14.0).abs() <= reach + 1e-3, "{digit}: {point}");
            }
        }
    }
}
