/* SPDX-License-Identifier: BSD-3-Clause */
/* Which Mac it is, as --mac says, and what its own programs print about it. */
#ifndef SIMMAC_DAEMON_MAC_H
#define SIMMAC_DAEMON_MAC_H

#include <string>
#include <vector>

#include "quiver/dext_abi.h"
#include "registry.h"

struct mac {
	std::string version = "15.5", model = "Mac16,8";
	uint64_t memory = UINT64_C(24) << 30;
	unsigned int cpus = 10;			/* performance cores */
	bool apple_silicon = true;
	unsigned int thunderbolt = 5;		/* generation of its ports */
	std::string sip = "enabled";		/* disabled, custom */
	/* What systemextensionsctl says of the extension; none: it is not there. */
	std::string extension = "activated enabled";
	std::string extension_version = "0.1.0/" + std::to_string(QUIVER_DEXT_ABI_VERSION) + ".0";
	std::string leftover;			/* the version of one that goes at the next start, */
	std::string upgrading;			/* and of one that runs until then */
	std::string app = "/Applications/Quiver.app";	/* where it is; "": nowhere */
	std::string spotlight = "app";		/* what mdfind finds: that one, none, or another's path */
	std::string bundle = "dev.quiver.Quiver";	/* whose app it is: its identifier */
	bool qemu_signed = true;		/* with the hypervisor's entitlement */
	bool quiver_signed = true;		/* the same; if not, the extension lets nobody in */
	uint64_t restless = 0;			/* so many walks of the registry more are cut short */
	uint32_t abi = 0;			/* that the extension says it has; 0: its own */
};

/* KEY=VALUE[,KEY=VALUE...], a comma in a value doubled. False: not understood. */
bool mac_option(struct mac &mac, const std::string &text);

/* NULL: there is no such name. */
const value *mac_sysctl(const struct mac &mac, const std::string &name, value *room);

/* What a program of macOS prints, its name and arguments as one line. False: none that is known. */
bool mac_program(const struct mac &mac, const std::string &command, std::string &output);

#endif
