//! Layers as a user names them, and the network that they make for images of one shape.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::convolution::Convolution;
use super::dense::Dense;
use super::dropout::Dropout;
use super::image::Image;
use super::patches::Patches;
use super::pool::Pool;
use super::{Network, Part, Stage};
use crate::catalog::ConfigError;
use crate::dataset::Shape;

/// The most layers.
const LAYERS_MAX: usize = 64;

/// The most parameters that a network may have: 4 GiB as `f32`.
const PARAMETERS_MAX: u128 = 1 << 30;

/// The most values that one sample may have between two layers: 64 MiB as `f32`.
const VALUES_MAX: u128 = 1 << 24;

/// One layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schemars(inline)]
pub enum Layer {
    /// The same weights for every square patch of an image.
    Convolution {
        /// Values that it makes of each patch: 1 to 4096.
        channels: usize,
        /// Rows and columns of a patch: 1 to 31.
        kernel: usize,
        /// Rows and columns of zeros around the image, below `kernel`. Default: 0.
        #[serde(default)]
        padding: usize,
    },
    /// Puts 0 in place of what is negative.
    Relu,
    /// The largest value of each square of an image, channel by channel.
    MaxPool {
        /// Rows and columns of a square: 2 to 16. Default: 2.
        #[serde(default = "two")]
        size: usize,
    },
    /// A weighted sum of all values for each unit.
    Dense {
        /// Values that it makes: 1 to 65536.
        units: usize,
    },
    /// Leaves out values at random while training.
    Dropout {
        /// The share that is left out: 0 to below 1.
        rate: f64,
    },
}

fn two() -> usize {
    2
}

impl Layer {
    /// What configs call it.
    fn name(&self) -> &'static str {
        match self {
            Layer::Convolution { .. } => "convolution",
            Layer::Relu => "relu",
            Layer::MaxPool { .. } => "max_pool",
            Layer::Dense { .. } => "dense",
            Layer::Dropout { .. } => "dropout",
        }
    }

    /// What is wrong with the layer by itself.
    fn fault(&self) -> Option<String> {
        let outside = |what: &str, value: usize, least: usize, most: usize| {
            let fits = (least..=most).contains(&value);
            (!fits).then(|| format!("`{what}` = {value} is not in {least}..={most}"))
        };
        match *self {
            Layer::Convolution { channels, kernel, padding } => {
                outside("channels", channels, 1, 4096)
                    .or_else(|| outside("kernel", kernel, 1, 31))
                    .or_else(|| outside("padding", padding, 0, kernel - 1))
            }
            Layer::Relu => None,
            Layer::MaxPool { size } => outside("size", size, 2, 16),
            Layer::Dense { units } => outside("units", units, 1, 65_536),
            Layer::Dropout { rate } => {
                (!(0.0..1.0).contains(&rate)).then(|| format!("`rate` = {rate} is not in 0..1"))
            }
        }
    }
}

/// Checks what can be said of layers without knowing the data.
pub(in crate::models) fn check(layers: &[Layer]) -> Result<(), ConfigError> {
    if layers.len() > LAYERS_MAX {
        let count = layers.len();
        return Err(ConfigError::new(format!(
            "`layers` names {count} layers, and a model may have at most {LAYERS_MAX}"
        )));
    }
    for (index, layer) in layers.iter().enumerate() {
        if let Some(fault) = layer.fault() {
            let name = layer.name();
            let message = format!("layer {} of `layers`, {name}: {fault}", index + 1);
            return Err(ConfigError::new(message));
        }
    }
    match layers.first() {
        Some(Layer::Relu) => Err(ConfigError::new(
            "layer 1 of `layers` is relu, which would cut off half of the data",
        )
        .help("put it after a convolution or a dense layer")),
        _ => Ok(()),
    }
}

impl Network {
    /// The network of these layers and a dense one onto the classes.
    pub fn of_layers(shape: Shape, layers: &[Layer]) -> Result<Self, ConfigError> {
        check(layers)?;
        let mut draft = Draft::new(shape);
        for (index, layer) in layers.iter().enumerate() {
            let place = format!("layer {}, {}", index + 1, layer.name());
            draft.add(layer).map_err(|fault| {
                ConfigError::new(format!("{place}: {fault}"))
                    .help("use smaller kernels or pools, fewer of them, or `padding`")
            })?;
            draft.small_enough().map_err(|fault| {
                ConfigError::new(format!("{place}: {fault}")).help("use fewer or narrower layers")
            })?;
        }
        let last = format!("the last layer, dense, {} classes", shape.classes);
        draft.dense(shape.classes);
        draft.small_enough().map_err(|fault| {
            ConfigError::new(format!("{last}: {fault}")).help("use fewer or narrower layers")
        })?;
        let parameters = draft.parameters as usize;
        Ok(Network { stages: draft.stages, features: shape.features(), parameters })
    }
}

/// The layers so far, and what they put out.
struct Draft {
    stages: Vec<Stage>,
    parameters: u128,
    /// What the last one puts out, where that is still an image.
    image: Option<Image>,
    values: usize,
}

impl Draft {
    fn new(shape: Shape) -> Self {
        let Shape { height, width, channels, .. } = shape;
        let image = Image { height, width, channels };
        Draft { stages: Vec::new(), parameters: 0, image: Some(image), values: image.values() }
    }

    fn add(&mut self, layer: &Layer) -> Result<(), String> {
        match *layer {
            Layer::Convolution { channels, kernel, padding } => {
                self.convolution(channels, kernel, padding)?;
            }
            Layer::Relu => {
                // Relu after relu changes nothing.
                let below = self.stages.last_mut().ok_or("there is no layer before it")?;
                below.relu = true;
            }
            Layer::MaxPool { size } => self.pool(size)?,
            Layer::Dense { units } => self.dense(units),
            Layer::Dropout { rate } => {
                self.push(Part::Dropout(Dropout { rate, values: self.values }));
            }
        }
        Ok(())
    }

    fn push(&mut self, part: Part) {
        self.stages.push(Stage { part, relu: false });
    }

    /// What is read as an image.
    fn read_image(&self) -> Result<Image, String> {
        self.image.ok_or_else(|| {
            format!(
                "it reads an image, and the layers before it put out {} values without places",
                self.values
            )
        })
    }

    fn convolution(
        &mut self,
        channels: usize,
        kernel: usize,
        padding: usize,
    ) -> Result<(), String> {
        let image = self.read_image()?;
        let framed = image.height.min(image.width) + 2 * padding;
        if kernel > framed {
            let Image { height, width, channels } = image;
            return Err(format!(
                "a kernel of {kernel} x {kernel} with padding {padding} does not fit on an image \
                 of {height} x {width} with {channels} channels"
            ));
        }
        let patches = Patches { image, kernel, padding };
        let start = self.parameters as usize;
        let dense = Dense { inputs: patches.values(), outputs: channels, start };
        let convolution = Convolution { patches, dense, pool: None };
        self.put_out(Some(convolution.image()), convolution.image().values());
        self.parameters += weights(dense.inputs, dense.outputs);
        self.push(Part::Convolution(convolution));
        Ok(())
    }

    fn pool(&mut self, size: usize) -> Result<(), String> {
        let image = self.read_image()?;
        if size > image.height.min(image.width) {
            let Image { height, width, .. } = image;
            return Err(format!(
                "squares of {size} x {size} do not fit on an image of {height} x {width}"
            ));
        }
        let pool = Pool { image, size };
        self.put_out(Some(pool.pooled()), pool.pooled().values());
        // What follows a convolution is pooled while it is still near; relu does not mind.
        match self.stages.last_mut() {
            Some(Stage { part: Part::Convolution(convolution), .. })
                if convolution.pool.is_none() =>
            {
                convolution.pool = Some(pool);
            }
            _ => self.push(Part::Pool(pool)),
        }
        Ok(())
    }

    fn dense(&mut self, outputs: usize) {
        let dense = Dense { inputs: self.values, outputs, start: self.parameters as usize };
        self.parameters += weights(self.values, outputs);
        self.put_out(None, outputs);
        self.push(Part::Dense(dense));
    }

    fn put_out(&mut self, image: Option<Image>, values: usize) {
        (self.image, self.values) = (image, values);
    }

    fn small_enough(&self) -> Result<(), String> {
        let unpooled = self.stages.iter().map(|stage| match &stage.part {
            Part::Convolution(convolution) => convolution.unpooled().values() as u128,
            _ => 0,
        });
        let most = unpooled.max().unwrap_or_default();
        if most > VALUES_MAX {
            return Err(format!("{most} values of a sample, and {VALUES_MAX} is the most"));
        }
        if self.parameters > PARAMETERS_MAX {
            let parameters = self.parameters;
            return Err(format!(
                "{parameters} parameters up to here, and a model may have at most {PARAMETERS_MAX}"
            ));
        }
        Ok(())
    }
}

/// The parameters of a layer, with one bias for each output.
fn weights(inputs: usize, outputs: usize) -> u128 {
    (inputs as u128 + 1) * outputs as u128
}
