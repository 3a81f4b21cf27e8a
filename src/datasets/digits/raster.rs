//! Ink on a grid of pixels.

use std::ops::Range;

use super::draws::Draws;
use super::{PIXELS, SIDE};

/// A straight piece of a stroke, in pixels; pixel `(column, row)` has its centre at
/// `(column + ½, row + ½)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// Where it starts.
    pub(super) from: [f32; 2],
    /// Where it ends.
    pub(super) to: [f32; 2],
    /// Half the width of the line.
    pub(super) radius: f32,
    /// How dark the line is, 0 to 1.
    pub(super) ink: f32,
}

/// An image that is being drawn: 0 is paper, 1 is ink.
pub(super) struct Canvas([f32; PIXELS]);

impl Canvas {
    /// An empty sheet.
    pub(super) fn new() -> Self {
        Canvas([0.0; PIXELS])
    }

    /// Draws a line with round ends whose edge fades over `fade` pixels. Ink on ink does not add
    /// up: the darker wins.
    pub(super) fn draw(&mut self, segment: &Segment, fade: f32) {
        let Segment { from, to, radius, ink } = *segment;
        let along = [to[0] - from[0], to[1] - from[1]];
        let length2 = along[0] * along[0] + along[1] * along[1];
        let inverse = if length2 > 0.0 { 1.0 / length2 } else { 0.0 };
        let reach = radius + 0.5 * fade;
        let columns = covered(from[0], to[0], reach);
        for row in covered(from[1], to[1], reach) {
            let y = row as f32 + 0.5 - from[1];
            for column in columns.clone() {
                let x = column as f32 + 0.5 - from[0];
                let part = ((x * along[0] + y * along[1]) * inverse).clamp(0.0, 1.0);
                let (dx, dy) = (x - part * along[0], y - part * along[1]);
                let distance = (dx * dx + dy * dy).sqrt();
                let grey = ink * ((reach - distance) / fade).clamp(0.0, 1.0);
                let pixel = &mut self.0[row * SIDE + column];
                *pixel = pixel.max(grey);
            }
        }
    }

    /// The image in 256 grey levels, after noise of standard deviation `noise`.
    pub(super) fn develop(&self, noise: f32, draws: &mut Draws) -> [u8; PIXELS] {
        self.0.map(|grey| (255.0 * (grey + noise * draws.bell()).clamp(0.0, 1.0) + 0.5) as u8)
    }
}

/// The rows or columns that a line from `a` to `b` with this reach can touch.
fn covered(a: f32, b: f32, reach: f32) -> Range<usize> {
    let first = (a.min(b) - reach).clamp(0.0, SIDE as f32);
    let last = (a.max(b) + reach).clamp(0.0, SIDE as f32);
    first as usize..last.ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(segments: &[Segment]) -> [u8; PIXELS] {
        let mut canvas = Canvas::new();
        for segment in segments {
            canvas.draw(segment, 1.0);
        }
        canvas.develop(0.0, &mut Draws::new([1, 2, 3, 4]))
    }

    #[test]
    fn a_line_by_hand() {
        let line = Segment { from: [5.5, 5.5], to: [8.5, 5.5], radius: 1.0, ink: 1.0 };
        let image = drawn(&[line]);
        let row = |row: usize| &image[row * SIDE + 3..row * SIDE + 11];
        // Centres at distance 1 from the line lie on its edge; at distance √2 the ink fades to
        // 1.5 - √2 of 255.
        assert_eq!(row(5), [0, 128, 255, 255, 255, 255, 128, 0]);
        assert_eq!(row(4), [0, 22, 128, 128, 128, 128, 22, 0]);
        assert_eq!(row(6), row(4));
        assert_eq!(row(7), [0; 8]);
    }

    #[test]
    fn the_darker_of_two_lines_wins() {
        let pale = Segment { from: [2.0, 9.5], to: [20.0, 9.5], radius: 1.0, ink: 0.4 };
        let dark = Segment { ink: 0.8, ..pale };
        assert_eq!(drawn(&[pale, dark]), drawn(&[dark]));
        assert_eq!(drawn(&[dark, pale]), drawn(&[dark]));
    }

    #[test]
    fn lines_off_the_sheet_and_points_are_harmless() {
        for from in [[-50.0, -50.0], [80.0, 3.0], [f32::NAN, 1.0], [f32::INFINITY, 2.0]] {
            drawn(&[Segment { from, to: from, radius: 2.0, ink: 1.0 }]);
        }
        let point = Segment { from: [3.5, 3.5], to: [3.5, 3.5], radius: 0.5, ink: 1.0 };
        assert_eq!(drawn(&[point]).iter().filter(|&&pixel| pixel > 0).count(), 1);
    }

    #[test]
    fn noise_is_as_strong_as_it_should_be() {
        let mut canvas = Canvas::new();
        canvas.0 = [0.5; PIXELS];
        let image = canvas.develop(0.1, &mut Draws::new([1, 2, 3, 4]));
        let squares = image.map(|pixel| (f64::from(pixel) / 255.0 - 0.5).powi(2));
        let deviation = (squares.iter().sum::<f64>() / PIXELS as f64).sqrt();
        assert!((0.09..0.11).contains(&deviation), "{deviation}");
    }
}
