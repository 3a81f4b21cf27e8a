//! Stochastic gradient descent with momentum.
//!
//! `g = gradient + weight_decay · w`, `v = momentum · v + (1 - dampening) · g` from `v = 0`,
//! `w = w - learning_rate · v`. PyTorch's `SGD` differs in its first step alone: it does not
//! dampen that one.

#![allow(
    clippy::inline_always,
    reason = "only what is inlined into the dispatched function is compiled for the processor"
)]

use pulp::{Arch, NullaryFnOnce};

use crate::models::network::Float;

/// The settings of a descent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descent<F> {
    /// The length of a step.
    pub learning_rate: F,
    /// The share of `v` that stays.
    pub momentum: F,
    /// The share of `g` that is left out.
    pub dampening: F,
    /// The share of `w` that joins the gradient.
    pub weight_decay: F,
}

impl<F: Float> Descent<F> {
    /// Steps of this length along the gradient itself.
    pub fn plain(learning_rate: F) -> Self {
        let zero = F::zero();
        Descent { learning_rate, momentum: zero, dampening: zero, weight_decay: zero }
    }

    /// Whether the direction of a step is needed for the next.
    pub fn remembers(&self) -> bool {
        self.momentum != F::zero()
    }

    /// Turns a gradient at `parameters` into the direction `v`, where `before` is the direction of
    /// the step before; empty, it is 0. Without momentum it does not matter.
    ///
    /// # Panics
    /// If they differ in length.
    pub fn direct(&self, parameters: &[F], before: &[F], gradient: &mut [F]) {
        assert_eq!(parameters.len(), gradient.len(), "a gradient of another model");
        assert!(before.is_empty() || before.len() == gradient.len(), "directions of other models");
        Arch::new().dispatch(Direct { descent: *self, parameters, before, gradient });
    }

    /// Goes one step along `direction`.
    ///
    /// # Panics
    /// If they differ in length.
    pub fn step(&self, parameters: &mut [F], direction: &[F]) {
        assert_eq!(parameters.len(), direction.len(), "a direction of another model");
        Arch::new().dispatch(Step { rate: self.learning_rate, parameters, direction });
    }
}

/// The direction of a step, compiled for each kind of processor.
struct Direct<'a, F> {
    descent: Descent<F>,
    parameters: &'a [F],
    before: &'a [F],
    gradient: &'a mut [F],
}

impl<F: Float> NullaryFnOnce for Direct<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Direct { descent: Descent { momentum, dampening, weight_decay, .. }, .. } = self;
        let Direct { parameters, before, gradient, .. } = self;
        // A factor that changes nothing is left out, so that it costs no pass.
        let (zero, fresh) = (F::zero(), F::one() - dampening);
        match (momentum != zero, weight_decay != zero) {
            (false, false) if fresh == F::one() => {}
            (false, false) => gradient.iter_mut().for_each(|gradient| *gradient *= fresh),
            (false, true) => {
                for (gradient, &parameter) in gradient.iter_mut().zip(parameters) {
                    *gradient = fresh * (*gradient + weight_decay * parameter);
                }
            }
            (true, _) if before.is_empty() => {
                for (gradient, &parameter) in gradient.iter_mut().zip(parameters) {
                    let decayed = match weight_decay == zero {
                        true => *gradient,
                        false => *gradient + weight_decay * parameter,
                    };
                    *gradient = zero + fresh * decayed;
                }
            }
            (true, false) => {
                for (gradient, &before) in gradient.iter_mut().zip(before) {
                    *gradient = momentum * before + fresh * *gradient;
                }
            }
            (true, true) => {
                for ((gradient, &parameter), &before) in
                    gradient.iter_mut().zip(parameters).zip(before)
                {
                    let decayed = *gradient + weight_decay * parameter;
                    *gradient = momentum * before + fresh * decayed;
                }
            }
        }
    }
}

/// One step, compiled for each kind of processor.
struct Step<'a, F> {
    rate: F,
    parameters: &'a mut [F],
    direction: &'a [F],
}

impl<F: Float> NullaryFnOnce for Step<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Step { rate, parameters, direction } = self;
        for (parameter, &direction) in parameters.iter_mut().zip(direction) {
            *parameter -= rate * direction;
        }
    }
}
