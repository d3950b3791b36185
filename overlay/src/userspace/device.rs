//! One TUN interface: packets in and out by the largest pieces that the kernel gives and takes.
//!
//! It knows no peers. The interface lasts as long as the value.

use std::io;
use std::ops::Deref as _;
use std::rc::Rc;

use gotatun::packet::{Packet, PacketBufPool};
use tun_rs::{AsyncDevice, DeviceBuilder, ExpandBuffer, GROTable, VIRTIO_NET_HDR_LEN};

use super::JOINED;
use super::drops::Reason;

/// The largest packet that fits a buffer, with what WireGuard and a tunnel put around it.
pub(super) const BUFFER: usize = 2048;
/// The largest MTU that an interface may have.
pub(super) const MTU_LIMIT: u32 = 1900;
/// The most packets that are written together.
const WRITE: usize = 128;
/// The largest packet of the kernel's, and what comes before it.
const SUPER_PACKET: usize = VIRTIO_NET_HDR_LEN + 65_535;
/// How many buffers may keep the size of the kernel's largest packets.
const LARGE: usize = 4;

/// Packets as they come from an interface.
pub(super) type Pool = PacketBufPool<BUFFER>;

/// A TUN interface.
pub(super) struct Device {
    file: AsyncDevice,
    index: u32,
}

/// Where reads go to: one for all interfaces.
pub(super) struct Scratch {
    raw: Vec<u8>,
    slots: Vec<Slot>,
    sizes: Vec<usize>,
    pool: Pool,
}

/// What is about to be written: one for all interfaces.
pub(super) struct Delivery {
    to: Option<Rc<Device>>,
    buffers: Vec<Buffer>,
    used: usize,
    table: GROTable,
}

/// A packet of the pool, as the library of TUN wants it.
struct Slot(Packet);

/// A buffer that grows when packets are joined in it.
struct Buffer(Vec<u8>);

/// What a read gave.
pub(super) enum Read {
    /// So many packets.
    Packets(usize),
    /// Something that is no packet of ours.
    Refused(Reason),
    /// Nothing more for now.
    Nothing,
    /// The interface is gone.
    Gone,
}

impl Device {
    /// Makes an interface in the network namespace of the calling thread.
    pub(super) fn make(name: &str, mtu: u32) -> io::Result<Self> {
        let file = DeviceBuilder::new()
            .name(name)
            .mtu(checked(mtu)?)
            .enable(false)
            .with(|builder| {
                builder.offload(true);
            })
            .build_async()?;
        let index = file.if_index()?;
        Ok(Self { file, index })
    }

    /// Returns the kernel's number of it.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// Changes the largest packet that it takes.
    pub(super) fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        self.file.set_mtu(checked(mtu)?)
    }

    /// Waits until there is something to read, or the interface is gone.
    pub(super) async fn ready(&self) -> io::Result<()> {
        self.file.readable().await
    }

    /// Reads once, leaving `room` before each packet.
    pub(super) fn read(&self, scratch: &mut Scratch, room: usize) -> Read {
        let Scratch {
            raw, slots, sizes, ..
        } = scratch;
        match self.file.try_recv_multiple(raw, slots, sizes, room) {
            Ok(count) => Read::Packets(count),
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => Read::Nothing,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => Read::Packets(0),
            Err(err) if err.raw_os_error().is_some() => Read::Gone,
            Err(_) => Read::Refused(Reason::TooLarge),
        }
    }
}

impl Scratch {
    /// Makes the buffers.
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            raw: vec![0; SUPER_PACKET],
            slots: (0..JOINED).map(|_| Slot(pool.get())).collect(),
            sizes: vec![0; JOINED.into()],
            pool,
        }
    }

    /// Takes a packet of the last read, with the room before it and what is left of its buffer behind it, and returns
    /// it with its length.
    pub(super) fn take(&mut self, number: usize) -> (Packet, usize) {
        let packet = std::mem::replace(&mut self.slots[number].0, self.pool.get());
        (packet, self.sizes[number])
    }
}

impl Delivery {
    /// Makes room for packets.
    pub(super) fn new() -> Self {
        let buffers = (0..WRITE).map(|_| Buffer(Vec::new())).collect();
        Self {
            to: None,
            buffers,
            used: 0,
            table: GROTable::new(),
        }
    }

    /// Puts a packet to those that are about to be written.
    pub(super) fn push(&mut self, to: &Rc<Device>, packet: &[u8]) -> Result<(), Reason> {
        let is_same = self.to.as_ref().is_some_and(|there| Rc::ptr_eq(there, to));
        let written = if is_same && self.used < WRITE {
            Ok(())
        } else {
            self.flush()
        };
        self.to = Some(Rc::clone(to));
        let Buffer(buffer) = &mut self.buffers[self.used];
        buffer.clear();
        buffer.extend_from_slice(&[0; VIRTIO_NET_HDR_LEN]);
        buffer.extend_from_slice(packet);
        self.used += 1;
        written
    }

    /// Writes everything, joined where it can be.
    pub(super) fn flush(&mut self) -> Result<(), Reason> {
        let used = std::mem::take(&mut self.used);
        let Some(device) = self.to.take() else {
            return Ok(());
        };
        let buffers = &mut self.buffers[..used];
        let written =
            device
                .file
                .deref()
                .send_multiple(&mut self.table, buffers, VIRTIO_NET_HDR_LEN);
        let large = buffers
            .iter_mut()
            .filter(|buffer| buffer.0.capacity() > 2 * BUFFER);
        for Buffer(buffer) in large.skip(LARGE) {
            *buffer = Vec::new();
        }
        written.map(drop).map_err(|_| Reason::NotTaken)
    }
}

impl AsRef<[u8]> for Slot {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsMut<[u8]> for Slot {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl ExpandBuffer for Buffer {
    fn buf_capacity(&self) -> usize {
        // It grows to that when it must.
        SUPER_PACKET
    }

    fn buf_resize(&mut self, new_len: usize, value: u8) {
        self.0.resize(new_len, value);
    }

    fn buf_extend_from_slice(&mut self, src: &[u8]) {
        self.0.extend_from_slice(src);
    }
}

fn checked(mtu: u32) -> io::Result<u16> {
    let fits = u16::try_from(mtu).ok().filter(|_| mtu <= MTU_LIMIT);
    fits.ok_or_else(|| {
        let problem = format!(
            "an MTU of {mtu} is more than the {MTU_LIMIT} that the userspace data plane can do"
        );
        io::Error::new(io::ErrorKind::InvalidInput, problem)
    })
}
