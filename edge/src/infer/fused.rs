//! A whole network as one operator of tract's, run by our kernels.

use std::sync::Arc;

use fer_kernels::{Network, Workspace};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;

/// The model that consists of `network`: pictures `[batch, channels, rows, columns]` in, `[batch, outputs]` out.
/// The batch is free.
pub(super) fn model(network: Network) -> TractResult<TypedModel> {
    let mut model = TypedModel::default();
    let batch = model.symbols.sym("batch").to_dim();
    let input = network.input();
    let shape: [TDim; 4] = [
        batch,
        input.channels.into(),
        input.height.into(),
        input.width.into(),
    ];
    let pixels = model.add_source("pixels", f32::fact(shape))?;
    let outputs = model.wire_node("network", Fused(Arc::new(network)), &[pixels])?;
    model.select_output_outlets(&outputs)?;
    Ok(model)
}

/// The operator.
#[derive(Debug, Clone)]
struct Fused(Arc<Network>);

impl PartialEq for Fused {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Fused {}

impl Op for Fused {
    fn name(&self) -> StaticName {
        "FusedNetwork".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Fused {
    not_out_of_plan!();

    fn state(&self, _: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        Ok(Some(Box::new(Maps {
            network: Arc::clone(&self.0),
            workspace: self.0.workspace(),
        })))
    }
}

impl TypedOp for Fused {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shape: [TDim; 2] = [inputs[0].shape[0].clone(), self.0.output().channels.into()];
        Ok(tvec!(f32::fact(shape)))
    }
}

/// The maps in between, which are kept from run to run.
#[derive(Debug)]
struct Maps {
    network: Arc<Network>,
    workspace: Workspace,
}

impl Clone for Maps {
    /// Contents need no copy: each run writes them first.
    fn clone(&self) -> Self {
        Self {
            network: Arc::clone(&self.network),
            workspace: self.network.workspace(),
        }
    }
}

impl OpState for Maps {
    fn eval(
        &mut self,
        _: &EvalContext,
        _: &dyn Op,
        inputs: TVec<TValue>,
    ) -> TractResult<TVec<TValue>> {
        let pictures = inputs[0].view();
        let batch = inputs[0].shape()[0];
        let mut scores = Tensor::zero::<f32>(&[batch, self.network.output().channels])?;
        self.network.run(
            &mut self.workspace,
            pictures.as_slice::<f32>()?,
            scores.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?,
        )?;
        Ok(tvec!(scores.into_tvalue()))
    }

    fn reset_lanes(&mut self, _: &[LaneId]) -> TractResult<()> {
        Ok(())
    }
}
