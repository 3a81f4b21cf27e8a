//! The patches of an image that a convolution weighs, one per row.

#![allow(
    clippy::inline_always,
    reason = "only what is inlined into the dispatched function is compiled for the processor"
)]

use pulp::{Arch, NullaryFnOnce};

use super::Float;
use super::image::Image;

/// All square patches of an image, one for each place that the kernel fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patches {
    /// The image, without its frame.
    pub(super) image: Image,
    /// Rows and columns of a patch.
    pub(super) kernel: usize,
    /// Rows and columns of zeros around the image.
    pub(super) padding: usize,
}

impl Patches {
    /// Values of a patch: row, column, channel.
    pub(super) fn values(&self) -> usize {
        self.kernel * self.kernel * self.image.channels
    }

    /// Rows and columns of places.
    pub(super) fn places(&self) -> (usize, usize) {
        let framed = self.framed();
        (framed.height + 1 - self.kernel, framed.width + 1 - self.kernel)
    }

    /// The image with its frame.
    fn framed(&self) -> Image {
        let Image { height, width, channels } = self.image;
        Image { height: height + 2 * self.padding, width: width + 2 * self.padding, channels }
    }

    /// Room for an image with its frame, where it has one.
    pub(super) fn frame<F: Float>(&self) -> Vec<F> {
        if self.padding == 0 { Vec::new() } else { vec![F::zero(); self.framed().values()] }
    }

    /// Copies all patches of `image` to `patches`, row by row; `frame` is room that is overwritten.
    pub(super) fn cut<F: Float>(&self, image: &[F], frame: &mut [F], patches: &mut [F]) {
        if self.padding == 0 {
            return self.cut_framed(image, patches);
        }
        for (row, inside) in image.chunks_exact(self.image.width * self.image.channels).enumerate()
        {
            frame[self.inside(row)..][..inside.len()].copy_from_slice(inside);
        }
        self.cut_framed(frame, patches);
    }

    /// Adds all patches to the places of `image` that they were cut from.
    pub(super) fn put_back<F: Float>(&self, patches: &[F], frame: &mut [F], image: &mut [F]) {
        if self.padding == 0 {
            return self.put_back_framed(patches, image);
        }
        frame.fill(F::zero());
        self.put_back_framed(patches, frame);
        let rows = image.chunks_exact_mut(self.image.width * self.image.channels);
        for (row, inside) in rows.enumerate() {
            for (value, &added) in inside.iter_mut().zip(&frame[self.inside(row)..]) {
                *value += added;
            }
        }
        // The frame is handed on as `cut` wants it: with zeros around.
        frame.fill(F::zero());
    }

    /// Where a row of the image starts inside of its frame.
    fn inside(&self, row: usize) -> usize {
        let framed = self.framed();
        ((row + self.padding) * framed.width + self.padding) * framed.channels
    }

    fn cut_framed<F: Float>(&self, image: &[F], patches: &mut [F]) {
        match self.kernel * self.image.channels {
            3 => self.cut_runs::<F, 3>(image, patches),
            5 => self.cut_runs::<F, 5>(image, patches),
            9 => self.cut_runs::<F, 9>(image, patches),
            15 => self.cut_runs::<F, 15>(image, patches),
            run => self.each_run(run, |from, to| {
                patches[to..to + run].copy_from_slice(&image[from..from + run]);
            }),
        }
    }

    /// The same for runs so short that a call for each would cost more than the copy.
    fn cut_runs<F: Float, const RUN: usize>(&self, image: &[F], patches: &mut [F]) {
        self.each_run(RUN, |from, to| {
            let source: &[F; RUN] = image[from..].first_chunk().expect("a run lies in the image");
            let target: &mut [F; RUN] =
                patches[to..].first_chunk_mut().expect("a run lies in a patch");
            *target = *source;
        });
    }

    fn put_back_framed<F: Float>(&self, patches: &[F], image: &mut [F]) {
        Arch::new().dispatch(PutBack { cut: *self, patches, image });
    }

    /// Calls `visit` with the starts of each row of each patch, in the image and in the patches.
    #[inline(always)]
    fn each_run(&self, run: usize, mut visit: impl FnMut(usize, usize)) {
        let framed = self.framed();
        let (rows, columns) = self.places();
        let line = framed.width * framed.channels;
        let mut patch = 0;
        for row in 0..rows {
            for column in 0..columns {
                let corner = row * line + column * framed.channels;
                for kernel_row in 0..self.kernel {
                    visit(corner + kernel_row * line, patch);
                    patch += run;
                }
            }
        }
    }
}

/// Adds patches to the image that they were cut from, compiled for each kind of processor.
struct PutBack<'a, F> {
    cut: Patches,
    patches: &'a [F],
    image: &'a mut [F],
}

impl<F: Float> NullaryFnOnce for PutBack<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let PutBack { cut, patches, image } = self;
        let run = cut.kernel * cut.image.channels;
        cut.each_run(run, |to, from| {
            for (value, &added) in image[to..to + run].iter_mut().zip(&patches[from..from + run]) {
                *value += added;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_by_hand() {
        let image = Image { height: 2, width: 3, channels: 1 };
        let patches = Patches { image, kernel: 2, padding: 0 };
        assert_eq!((patches.places(), patches.values()), ((1, 2), 4));
        let mut cut = [0.0; 8];
        patches.cut(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut [], &mut cut);
        assert_eq!(cut, [1.0, 2.0, 4.0, 5.0, 2.0, 3.0, 5.0, 6.0]);
        let mut back = [0.0; 6];
        patches.put_back(&[1.0; 8], &mut [], &mut back);
        assert_eq!(back, [1.0, 2.0, 1.0, 1.0, 2.0, 1.0]);
    }

    #[test]
    fn a_frame_is_zeros() {
        let image = Image { height: 1, width: 1, channels: 2 };
        let patches = Patches { image, kernel: 3, padding: 1 };
        assert_eq!((patches.places(), patches.values()), ((1, 1), 18));
        let (mut frame, mut cut) = (patches.frame(), [7.0; 18]);
        patches.cut(&[1.0, 2.0], &mut frame, &mut cut);
        let mut expected = [0.0; 18];
        expected[8..10].copy_from_slice(&[1.0, 2.0]);
        assert_eq!(cut, expected);
        let mut back = [0.0; 2];
        patches.put_back(&[3.0; 18], &mut frame, &mut back);
        assert_eq!(back, [3.0, 3.0]);
        assert!(frame.iter().all(|value| *value == 0.0));
    }
}
