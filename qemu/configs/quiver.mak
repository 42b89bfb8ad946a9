# SPDX-License-Identifier: GPL-2.0-or-later
#
# The devices of Quiver's QEMU, for --without-default-devices. A change here recompiles most of QEMU.

CONFIG_ARM_VIRT=y
CONFIG_PCI_DEVICES=n
CONFIG_TEST_DEVICES=n
CONFIG_PCIE_PORT=y

CONFIG_QUIVER=y

CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_SERIAL=y
CONFIG_VIRTIO_RNG=y
CONFIG_VIRTIO_9P=y

# A window: quiver run --display window
CONFIG_VIRTIO_GPU=y
CONFIG_USB_XHCI_PCI=y
CONFIG_USB_HID=y

# QEMU's own NVMe controller is what ours is compared with. It does not link without the others:
# ARM_VIRT refers to CXL, CXL depends on PXB, CXL and NVMe refer to SPDM.
CONFIG_NVME_PCI=y
CONFIG_PXB=y
CONFIG_CXL=y
CONFIG_CXL_MEM_DEVICE=y
CONFIG_SPDM_SOCKET=y
