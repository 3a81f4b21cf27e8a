//! A seat's part in a run without a coordinator.

use std::sync::Arc;

use tonic::Code;
use tonic::transport::Channel;

use super::broken::{Broken, broken};
use super::{Attendance, Part};
use crate::runtime::mesh::session::{self, Judging};

impl Attendance {
    /// Plays a run without a coordinator. What is lost of it is lost: it begins anew.
    pub(super) async fn play_apart(
        &self,
        run_id: &str,
        channel: Channel,
        part: Part,
        judging: Judging,
    ) -> Result<(), Broken> {
        let Some((switchboard, _)) = &self.reception else {
            return Err(Broken::fatal(format!("{}: nobody can reach this process", self.seat)));
        };
        let first = part.lines.identities.first().copied();
        let setting = session::Setting {
            run_id: run_id.to_owned(),
            hello: self.hello(run_id, first.unwrap_or_else(|| self.first_identity())),
            identities: part.lines.identities.iter().copied().collect(),
            values: part.lines.values,
            judging,
            switchboard: Arc::clone(switchboard),
            patience: self.patience,
        };
        match session::play(setting, channel, part.machine).await {
            // There may be other runs, in which the seat is still wanted.
            Err(status) if status.code() == Code::Aborted => {
                tracing::warn!("{}", status.message());
                Ok(())
            }
            ended => ended.map_err(|status| broken(&status)),
        }
    }
}
