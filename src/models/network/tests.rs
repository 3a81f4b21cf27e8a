use ndarray::array;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use super::image::Image;
use super::*;
use crate::dataset::Shape;

#[test]
fn one_layer_by_hand() {
    // Scores are [1·1 + 2·0 + 0, 1·0 + 2·1 - 1] = [1, 1]: both classes are equally likely.
    let network = Network::new(2, &[], 2);
    let parameters = [1.0, 0.0, 0.0, 1.0, 0.0, -1.0];
    let mut gradient = [f64::NAN; 6];
    let loss = network.gradient(
        &parameters,
        array![[1.0, 2.0]].view(),
        &[1],
        &mut gradient,
        &mut unused(),
    );
    assert!((loss - 2.0f64.ln()).abs() < 1e-15);
    assert_eq!(gradient, [0.5, 1.0, -0.5, -1.0, 0.5, -0.5]);
    assert_eq!(network.head(), 0..6);
}

#[test]
fn two_layers_by_hand() {
    // Hidden: [relu(2 + 1), relu(-2 + 1)] = [3, 0]; scores: [3, 0] + [0, 3] = [3, 3].
    let network = Network::new(1, &[2], 2);
    let parameters = [1.0, -1.0, 1.0, 1.0, 1.0, 5.0, 0.0, 7.0, 0.0, 3.0];
    let mut gradient = [f64::NAN; 10];
    let loss =
        network.gradient(&parameters, array![[2.0]].view(), &[0], &mut gradient, &mut unused());
    assert!((loss - 2.0f64.ln()).abs() < 1e-15);
    // delta = [-1/2, 1/2]; behind the live unit it is -1/2·1 + 1/2·0, behind the dead one 0.
    assert_eq!(gradient, [-1.0, 0.0, -0.5, 0.0, -1.5, 0.0, 1.5, 0.0, -0.5, 0.5]);
    assert_eq!(network.head(), 4..10);
}

#[test]
fn initial_values_fill_pytorchs_range() {
    let network = Network::new(100, &[25], 4);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let initial = network.initial(&mut rng);
    assert_eq!(initial.len(), 100 * 25 + 25 + 25 * 4 + 4);
    let largest = |range: Range<usize>| {
        initial.slice(s![range]).iter().fold(0.0f32, |largest, value| largest.max(value.abs()))
    };
    let (first, second) = (largest(0..2525), largest(2525..2629));
    assert!((0.0999..=0.1).contains(&first), "{first}");
    assert!((0.19..=0.2).contains(&second), "{second}");
    let mean: f32 = initial.slice(s![..2525]).sum() / 2525.0;
    assert!(mean.abs() < 0.005, "{mean}");
}

#[test]
fn what_is_not_finite_neither_panics_nor_hides() {
    let network = Network::new(2, &[3], 2);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
        let parameters = Array1::from_elem(network.len(), bad);
        let inputs = array![[1.0, 2.0], [-1.0, 0.0]];
        let mut gradient = Array1::zeros(network.len());
        let batch = Batch { inputs: inputs.view(), labels: &[0, 1] };
        let loss =
            Model::gradient(&network, parameters.view(), batch, gradient.view_mut(), &mut unused());
        assert!(loss.is_nan(), "{bad}: {loss}");
        assert_eq!(Model::scores(&network, parameters.view(), inputs.view()).dim(), (2, 2));
    }
}

#[test]
fn huge_scores_keep_a_finite_loss() {
    let mut scores = array![[1000.0f32, -1000.0], [-1000.0, 1000.0]];
    let loss = cross_entropy(&mut scores, &[1, 1]);
    assert_eq!(loss, 1000.0);
    assert_eq!(scores, array![[0.5, -0.5], [0.0, 0.0]]);
}

#[test]
fn no_samples_no_loss() {
    let network = Network::new(2, &[3], 2);
    let parameters = vec![1.0f32; network.len()];
    let mut gradient = vec![7.0; network.len()];
    let loss = network.gradient(
        &parameters,
        Array2::zeros((0, 2)).view(),
        &[],
        &mut gradient,
        &mut unused(),
    );
    assert_eq!(loss, 0.0);
    assert!(gradient.iter().all(|value| *value == 0.0));
}

#[test]
fn scores_do_not_depend_on_the_company() {
    let network = Network::new(30, &[17], 5);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let parameters = network.initial(&mut rng);
    let inputs = Array2::from_shape_simple_fn((CHUNK + 30, 30), || rng.random::<f32>() - 0.5);
    let together = Model::scores(&network, parameters.view(), inputs.view());
    for (index, alone) in inputs.axis_chunks_iter(Axis(0), 1).enumerate() {
        let alone = Model::scores(&network, parameters.view(), alone);
        assert_eq!(alone.row(0), together.row(index), "sample {index}");
    }
}

/// Compares every parameter's gradient with central differences of the loss in `f64`.
fn the_gradient_is_the_slope(network: &Network, samples: usize, classes: usize, seed: u64) -> bool {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || 2.0 * rng.random::<f64>() - 1.0;
    let mut parameters: Vec<f64> = (0..network.parameters()).map(|_| draw()).collect();
    let inputs = Array2::from_shape_simple_fn((samples, network.features), draw);
    let labels: Vec<u8> = (0..samples).map(|sample| (sample % classes) as u8).collect();
    if kinks(network, &parameters, inputs.view()) < 1e-4 {
        return false;
    }
    let mut gradient = vec![f64::NAN; parameters.len()];
    let mut other = gradient.clone();
    network.gradient(&parameters, inputs.view(), &labels, &mut gradient, &mut unused());
    let step = 1e-6;
    for index in 0..parameters.len() {
        let value = parameters[index];
        let mut loss = |at| {
            parameters[index] = at;
            network.gradient(&parameters, inputs.view(), &labels, &mut other, &mut unused())
        };
        let slope = (loss(value + step) - loss(value - step)) / (2.0 * step);
        parameters[index] = value;
        let gradient = gradient[index];
        assert!((slope - gradient).abs() < 1e-7, "{index}: slope {slope}, gradient {gradient}");
    }
    true
}

/// Every layer, alone and in company, with and without padding, pools that leave pixels over.
#[test]
fn every_layer_has_the_slope_of_the_loss() {
    let convolution = |channels, kernel, padding| Layer::Convolution { channels, kernel, padding };
    let (pool, dropout) = (|size| Layer::MaxPool { size }, || Layer::Dropout { rate: 0.4 });
    let rows: Vec<Vec<Layer>> = vec![
        vec![convolution(3, 3, 0)],
        vec![convolution(2, 3, 2), Layer::Relu],
        vec![convolution(3, 2, 0), pool(2)],
        vec![convolution(3, 2, 1), pool(2), Layer::Relu],
        vec![pool(2), convolution(2, 2, 0), Layer::Relu],
        vec![convolution(2, 2, 0), Layer::Relu, convolution(3, 2, 1), Layer::Relu, pool(3)],
        vec![convolution(2, 1, 0), pool(2), pool(2), Layer::Relu],
        vec![convolution(2, 2, 0), pool(2), convolution(2, 2, 1), dropout(), Layer::Relu],
        vec![dropout(), Layer::Dense { units: 4 }, Layer::Relu, dropout()],
    ];
    let shape = Shape { height: 5, width: 6, channels: 2, classes: 3 };
    for layers in rows {
        let network = Network::of_layers(shape, &layers).unwrap();
        let checked = (0..60).filter(|&seed| the_gradient_is_the_slope(&network, 4, 3, seed));
        assert!(checked.count() >= 5, "{layers:?}: too many draws near a kink");
    }
}

/// Groups of images that do not all fit at once make the same gradient as one after the other.
#[test]
fn groups_of_images_add_up() {
    let shape = Shape { height: 28, width: 28, channels: 1, classes: 10 };
    let layers = [
        Layer::Convolution { channels: 20, kernel: 5, padding: 0 },
        Layer::Relu,
        Layer::MaxPool { size: 2 },
    ];
    let network = Network::of_layers(shape, &layers).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let parameters: Vec<f64> = network.initial(&mut rng).iter().copied().map(f64::from).collect();
    let inputs = Array2::from_shape_simple_fn((23, 784), || rng.random::<f64>());
    let labels: Vec<u8> = (0..23).map(|sample| sample % 10).collect();
    let gradient = |from: usize, to: usize| {
        let mut gradient = vec![f64::NAN; parameters.len()];
        let inputs = inputs.slice(s![from..to, ..]);
        network.gradient(&parameters, inputs, &labels[from..to], &mut gradient, &mut unused());
        Array1::from(gradient)
    };
    let together = gradient(0, 23);
    let one_by_one = (0..23).fold(Array1::zeros(together.len()), |sum: Array1<f64>, sample| {
        sum + gradient(sample, sample + 1)
    }) / 23.0;
    let off = (&together - &one_by_one).iter().fold(0.0f64, |most, off| most.max(off.abs()));
    assert!(off < 1e-14, "{off}");
    assert!(together.iter().any(|value| value.abs() > 1e-3));
}

#[test]
fn dropout_leaves_out_its_share_and_scores_leave_out_nothing() {
    let shape = Shape { height: 1, width: 50, channels: 1, classes: 2 };
    let network = Network::of_layers(shape, &[Layer::Dropout { rate: 0.25 }]).unwrap();
    let inputs = Array2::<f32>::ones((100, 50));
    let values =
        |rng: Option<&mut dyn Rng>| network.stages[0].forward(&[], inputs.view(), rng).values;
    let drawn = values(Some(&mut unused()));
    let left_out = drawn.iter().filter(|value| **value == 0.0).count();
    assert!((1100..1400).contains(&left_out), "{left_out} of 5000");
    assert!(drawn.iter().all(|value| *value == 0.0 || (*value - 4.0 / 3.0).abs() < 1e-6));
    assert_eq!(values(None), inputs);
    assert_eq!(drawn, values(Some(&mut unused())));
}

#[test]
fn a_convolutions_scores_do_not_depend_on_the_company() {
    let shape = Shape { height: 28, width: 28, channels: 1, classes: 10 };
    let layers = [
        Layer::Convolution { channels: 20, kernel: 5, padding: 0 },
        Layer::Relu,
        Layer::MaxPool { size: 2 },
        Layer::Convolution { channels: 50, kernel: 5, padding: 0 },
        Layer::MaxPool { size: 2 },
    ];
    let network = Network::of_layers(shape, &layers).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let parameters = network.initial(&mut rng);
    let inputs = Array2::from_shape_simple_fn((15, 784), || rng.random::<f32>() - 0.5);
    let together = Model::scores(&network, parameters.view(), inputs.view());
    for (index, alone) in inputs.axis_chunks_iter(Axis(0), 1).enumerate() {
        let alone = Model::scores(&network, parameters.view(), alone);
        assert_eq!(alone.row(0), together.row(index), "sample {index}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every parameter, against central differences of the loss in `f64`.
    #[test]
    fn the_gradient_is_the_slope_of_the_loss(
        features in 1usize..7,
        hidden in prop::collection::vec(1usize..7, 0..4),
        classes in 1usize..6,
        samples in 1usize..6,
        seed in any::<u64>(),
    ) {
        let network = Network::new(features, &hidden, classes);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = || 2.0 * rng.random::<f64>() - 1.0;
        let mut parameters: Vec<f64> = (0..network.parameters()).map(|_| draw()).collect();
        let inputs = Array2::from_shape_simple_fn((samples, features), draw);
        let labels: Vec<u8> = (0..samples).map(|sample| (sample % classes) as u8).collect();
        prop_assume!(kinks(&network, &parameters, inputs.view()) > 1e-3);

        let mut gradient = vec![0.0; parameters.len()];
        let mut other = gradient.clone();
        network.gradient(&parameters, inputs.view(), &labels, &mut gradient, &mut unused());
        let step = 1e-5;
        for index in 0..parameters.len() {
            let value = parameters[index];
            let mut loss = |at| {
                parameters[index] = at;
                network.gradient(&parameters, inputs.view(), &labels, &mut other, &mut unused())
            };
            let slope = (loss(value + step) - loss(value - step)) / (2.0 * step);
            parameters[index] = value;
            prop_assert!(
                (slope - gradient[index]).abs() < 1e-8,
                "parameter {index}: slope {slope}, gradient {}", gradient[index]
            );
        }
    }
}

/// How near a value before relu comes to 0, and two values of a square to each other: a difference
/// across such a kink says nothing, so draws near one are set aside.
fn kinks(network: &Network, parameters: &[f64], inputs: ArrayView2<'_, f64>) -> f64 {
    let mut nearest = f64::INFINITY;
    let mut read = inputs.to_owned();
    for stage in &network.stages {
        let unpooled = match stage.part {
            Part::Convolution(convolution) => {
                let bare = Convolution { pool: None, ..convolution };
                Some((bare.forward(parameters, read.view()).0, convolution.pool))
            }
            Part::Pool(pool) => Some((read.clone(), Some(pool))),
            _ => None,
        };
        if let Some((unpooled, Some(pool))) = &unpooled {
            nearest = nearest.min(closest_in_squares(unpooled, *pool));
        }
        let mut output = stage.forward(parameters, read.view(), Some(&mut unused()));
        if stage.relu {
            let least = |least: f64, value: &f64| least.min(value.abs());
            nearest = output.values.iter().filter(|value| **value != 0.0).fold(nearest, least);
            relu(&mut output.values);
        }
        read = output.values;
    }
    nearest
}

/// The smallest distance of the largest value of a square above 0 to its second.
fn closest_in_squares(images: &Array2<f64>, pool: Pool) -> f64 {
    let Image { width, channels, .. } = pool.image;
    let pooled = pool.pooled();
    let mut closest = f64::INFINITY;
    for image in images.rows() {
        for (row, column, channel) in (0..pooled.height).flat_map(|row| {
            (0..pooled.width)
                .flat_map(move |column| (0..channels).map(move |channel| (row, column, channel)))
        }) {
            let places = (0..pool.size * pool.size).map(|place| {
                let row = row * pool.size + place / pool.size;
                let column = column * pool.size + place % pool.size;
                image[(row * width + column) * channels + channel]
            });
            let mut values: Vec<f64> = places.collect();
            values.sort_by(f64::total_cmp);
            closest = closest.min(values[values.len() - 1] - values[values.len() - 2]);
        }
    }
    closest
}

/// A stream that is the same whenever it is asked for, so that dropout leaves out the same.
fn unused() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(11)
}
