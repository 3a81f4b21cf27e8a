//! A convolution: the same weights at every place of an image, with a pool right after it.
//!
//! Images stand pixel by pixel with their channels side by side, so a row of a patch is one run of
//! memory, and a convolution is a dense layer over patches. The weight is row-major
//! `[channels, kernel row, kernel column, channel below]`, then comes the bias.
//!
//! Patches are many times the image they are cut from. They are therefore cut for a few images at
//! a time, so few that they stay in the processor's own cache, and are cut once more on the way
//! back instead of being kept. A bias and relu do not change which of several values is the
//! largest, so both come after the pool, where there are fewer values.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

use super::Float;
use super::dense::{Dense, add_rows};
use super::image::Image;
use super::patches::Patches;
use super::pool::Pool;
use super::product::{Onto, product};

/// How many values patches and outputs of the images that are worked on may have: half a MiB as
/// `f32`. No result depends on it: a product in parts is the whole product.
const VALUES_AT_ONCE: usize = 1 << 17;

/// A convolution, and the pool that follows it if one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Convolution {
    pub(super) patches: Patches,
    /// The weights of a patch.
    pub(super) dense: Dense,
    pub(super) pool: Option<Pool>,
}

impl Convolution {
    /// What it puts out, before a pool.
    pub(super) fn unpooled(&self) -> Image {
        let (height, width) = self.patches.places();
        Image { height, width, channels: self.dense.outputs }
    }

    /// What it puts out.
    pub(super) fn image(&self) -> Image {
        self.pool.map_or_else(|| self.unpooled(), |pool| pool.pooled())
    }

    /// How many images are worked on at once.
    fn at_once(&self) -> usize {
        let of_one = self.unpooled().pixels() * (self.dense.inputs + self.dense.outputs);
        (VALUES_AT_ONCE / of_one.max(1)).max(1)
    }

    /// What it puts out for each image, and which values its pool chose.
    pub(super) fn forward<F: Float>(
        &self,
        parameters: &[F],
        inputs: ArrayView2<'_, F>,
    ) -> (Array2<F>, Vec<u8>) {
        let (below, unpooled, out) = (self.patches.image.values(), self.unpooled(), self.image());
        let inputs = inputs.as_standard_layout();
        let images = inputs.nrows();
        let weight = self.dense.weight(parameters);
        let at_once = self.at_once().min(images.max(1));
        let mut room = Room::new(self, at_once);
        let mut outputs = vec![F::zero(); images * out.values()];
        let mut chosen = vec![0; if self.pool.is_some() { outputs.len() } else { 0 }];
        let mut values =
            vec![F::zero(); if self.pool.is_some() { at_once * unpooled.values() } else { 0 }];

        let flat = inputs.as_slice().expect("the standard layout is contiguous");
        let groups = flat.chunks(at_once * below).zip(outputs.chunks_mut(at_once * out.values()));
        for (group, (images, outputs)) in groups.enumerate() {
            let patches = room.cut(self, images);
            let rows = patches.nrows();
            match &self.pool {
                None => product(patches, weight.t(), Onto::Nothing, self.rows_mut(rows, outputs)),
                Some(pool) => {
                    product(patches, weight.t(), Onto::Nothing, self.rows_mut(rows, &mut values));
                    let chosen = &mut chosen[group * at_once * out.values()..][..outputs.len()];
                    let images = values.chunks_exact(unpooled.values());
                    let largest = outputs.chunks_exact_mut(out.values());
                    for ((image, largest), chosen) in
                        images.zip(largest).zip(chosen.chunks_exact_mut(out.values()))
                    {
                        pool.forward(image, largest, chosen);
                    }
                }
            }
            for pixel in outputs.chunks_exact_mut(out.channels) {
                for (value, &bias) in pixel.iter_mut().zip(self.dense.bias(parameters)) {
                    *value += bias;
                }
            }
        }
        let outputs = Array2::from_shape_vec((images, out.values()), outputs)
            .expect("one row for each image");
        (outputs, chosen)
    }

    /// Writes this layer's part of the gradient, and returns how the loss moves with its inputs if
    /// that is `wanted`.
    pub(super) fn backward<F: Float>(
        &self,
        parameters: &[F],
        delta: &Array2<F>,
        inputs: ArrayView2<'_, F>,
        chosen: &[u8],
        gradient: &mut [F],
        wanted: bool,
    ) -> Option<Array2<F>> {
        let (below, unpooled, out) = (self.patches.image.values(), self.unpooled(), self.image());
        let inputs = inputs.as_standard_layout();
        let flat = inputs.as_slice().expect("the standard layout is contiguous");
        let delta = delta.as_slice().expect("an owned array is contiguous");
        let at_once = self.at_once().min(inputs.nrows().max(1));
        let mut room = Room::new(self, at_once);
        let mut moved = wanted.then(|| Array2::zeros(inputs.raw_dim()));
        let mut values =
            vec![F::zero(); if self.pool.is_some() { at_once * unpooled.values() } else { 0 }];
        let (mut weight, bias) = self.dense.split(gradient);
        weight.fill(F::zero());
        bias.fill(F::zero());
        add_rows(rows(delta, out.channels), bias);

        let groups = flat.chunks(at_once * below).zip(delta.chunks(at_once * out.values()));
        for (group, (images, delta)) in groups.enumerate() {
            let patches = room.cut(self, images);
            let unpooled_delta = match &self.pool {
                None => delta,
                Some(pool) => {
                    let chosen = &chosen[group * at_once * out.values()..][..delta.len()];
                    let images = values.chunks_exact_mut(unpooled.values());
                    for ((image, delta), chosen) in images
                        .zip(delta.chunks_exact(out.values()))
                        .zip(chosen.chunks_exact(out.values()))
                    {
                        pool.back(delta, chosen, image);
                    }
                    &values[..patches.nrows() * unpooled.channels]
                }
            };
            let delta = rows(unpooled_delta, unpooled.channels);
            product(delta.t(), patches, Onto::Before, weight.view_mut());
            if let Some(moved) = &mut moved {
                let moved = moved.as_slice_mut().expect("an owned array is contiguous");
                let moved = &mut moved[group * at_once * below..][..images.len()];
                room.put_back(self, delta, self.dense.weight(parameters), moved);
            }
        }
        moved
    }

    fn rows_mut<'a, F>(&self, rows: usize, values: &'a mut [F]) -> ArrayViewMut2<'a, F> {
        let channels = self.dense.outputs;
        ArrayViewMut2::from_shape((rows, channels), &mut values[..rows * channels])
            .expect("one row for each place")
    }
}

fn rows<F>(values: &[F], columns: usize) -> ArrayView2<'_, F> {
    ArrayView2::from_shape((values.len() / columns, columns), values).expect("whole rows")
}

/// Room for the patches of a few images.
struct Room<F> {
    patches: Vec<F>,
    frame: Vec<F>,
}

impl<F: Float> Room<F> {
    fn new(convolution: &Convolution, images: usize) -> Self {
        let places = convolution.unpooled().pixels();
        Room {
            patches: vec![F::zero(); images * places * convolution.dense.inputs],
            frame: convolution.patches.frame(),
        }
    }

    /// The patches of these images, one per row.
    fn cut(&mut self, convolution: &Convolution, images: &[F]) -> ArrayView2<'_, F> {
        let columns = convolution.dense.inputs;
        let of_image = convolution.unpooled().pixels() * columns;
        let cuts = self.patches.chunks_exact_mut(of_image);
        let images = images.chunks_exact(convolution.patches.image.values());
        let mut count = 0;
        for (image, patches) in images.zip(cuts) {
            convolution.patches.cut(image, &mut self.frame, patches);
            count += 1;
        }
        rows(&self.patches[..count * of_image], columns)
    }

    /// Adds to `images` what `delta · weight` says of their patches.
    fn put_back(
        &mut self,
        convolution: &Convolution,
        delta: ArrayView2<'_, F>,
        weight: ArrayView2<'_, F>,
        images: &mut [F],
    ) {
        let columns = convolution.dense.inputs;
        let patches = &mut self.patches[..delta.nrows() * columns];
        let into =
            ArrayViewMut2::from_shape((delta.nrows(), columns), patches).expect("whole rows");
        product(delta, weight, Onto::Nothing, into);
        let of_image = convolution.unpooled().pixels() * columns;
        let images = images.chunks_exact_mut(convolution.patches.image.values());
        for (image, patches) in images.zip(self.patches.chunks_exact(of_image)) {
            convolution.patches.put_back(patches, &mut self.frame, image);
        }
    }
}
