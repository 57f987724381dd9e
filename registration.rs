// SPDX-License-Identifier: GPL-2.0

//! Registration of devices by their bus drivers.

#[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
use crate::{
    abstractions::debugfs::DataDirectory,
    device::debugfs, //
};
use crate::{
    abstractions::{
        iommu,
        module_ref::DriverModule,
        sync::completion::Wait,
        task::Comm, //
    },
    confinement::{
        Confinement,
        Dma, //
    },
    device::{
        node::Node,
        ops::DeviceOps,
        set::DeviceSetKey,
        Device, //
    },
    group::node::Membership,
    noiommu, //
};
use kernel::{
    current,
    dev_warn,
    device,
    prelude::*,
    sync::Arc,
    time::msecs_to_jiffies,
    ThisModule, //
};

/// How long unregistering waits before it asks users again to let go.
const REQUEST_PERIOD_MS: u32 = 10_000;

/// A registered device. Dropping it unregisters: the device disappears for
/// users at once, then the call sleeps until the last of them has let go.
///
/// Fields are dropped in order, after the wait.
pub struct Registration {
    #[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
    debugfs: Option<DataDirectory<Device>>,
    device: Arc<Device>,
    node: Node,
    group: Membership,
}

impl Registration {
    /// Registers the device of a bus driver in `module`. May sleep.
    ///
    /// Users may open it before this has returned: `ops` must be ready.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it does DMA, but no IOMMU serves it and no-IOMMU mode is off, or the DMA is
    /// not cache coherent. `EEXIST`: it is emulated, but an IOMMU serves its parent.
    /// `ENOSPC`: there are too many devices. `ENOMEM`.
    pub fn new(
        parent: &device::Device,
        ops: Arc<dyn DeviceOps>,
        set: DeviceSetKey,
        dma: Dma,
        module: &'static ThisModule,
    ) -> Result<Self> {
        Self::with_device(parent, ops, set, dma, module.into(), |_| ())
    }

    /// The same for any driver; `visit` is shown the device before users can open it. If this
    /// fails then, nobody has.
    pub(crate) fn with_device(
        parent: &device::Device,
        ops: Arc<dyn DeviceOps>,
        set: DeviceSetKey,
        dma: Dma,
        module: DriverModule,
        visit: impl FnOnce(&Arc<Device>),
    ) -> Result<Self> {
        let group = Membership::join(parent, dma)?;
        match group.group().confinement() {
            Confinement::NoIommu if noiommu::HAS_NODES => noiommu::taint_by_node(parent),
            // Mappings always ask for coherent DMA; there is no way for users to
            // restore coherency themselves.
            Confinement::Kept(Dma::Physical) if !iommu::is_cache_coherent(parent) => {
                return Err(EINVAL);
            }
            _ => {}
        }
        let device = Device::new(parent, ops, set, module, group.group().clone())?;
        let node = Node::new(&device)?;
        visit(&device);
        let mut registration = Self {
            #[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
            debugfs: None,
            device,
            node,
            group,
        };
        registration.publish()?;
        Ok(registration)
    }

    /// Lets users find the device; those who wait for its nodes, or for the uevents, find
    /// all of it when they see them.
    fn publish(&mut self) -> Result {
        let device = &self.device;
        device.uses().register();
        self.group.devices().publish(device.clone())?;
        self.node.show(device)?;
        self.group.show()?;
        #[cfg(CONFIG_VFIO_RUST_DEBUGFS)]
        {
            self.debugfs = debugfs::show(device);
        }
        Ok(())
    }

    /// The device.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Sleeps until all uses have ended, asking users to end them.
    fn wait_until_unused(&self) {
        let device = &self.device;
        let period = msecs_to_jiffies(REQUEST_PERIOD_MS);
        let mut interruptible = true;
        let mut count: u32 = 0;
        if device.uses().wait_timeout(0) == Wait::Completed {
            return;
        }
        loop {
            device.ops().request(device, count);
            count = count.saturating_add(1);
            let wait = if interruptible {
                device.uses().wait_interruptible_timeout(period)
            } else {
                device.uses().wait_timeout(period)
            };
            match wait {
                Wait::Completed => return,
                Wait::TimedOut => {}
                Wait::Interrupted => {
                    // There is no way to give up: the bus driver needs its
                    // device back. Say who hangs, and why.
                    interruptible = false;
                    dev_warn!(
                        device.parent(),
                        "Device is currently in use, task \"{}\" ({}) blocked until device is released\n",
                        Comm::current(),
                        current!().pid()
                    );
                }
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.group.devices().withdraw(&self.device);
        self.node.remove();
        // The registration's own use.
        self.device.uses().end();
        self.wait_until_unused();
    }
}
