// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mac.h"

#define APP "Quiver.app"
#define NAME "QuiverDriver"
#define TEAM "QUIVERTEAM"

static bool number(const std::string &text, uint64_t *number)
{
	static const std::string units = "KMG";
	char *end;
	size_t unit;

	errno = 0;
	*number = strtoull(text.c_str(), &end, 0);
	if (errno || end == text.c_str() || text[0] == '-')
		return false;
	unit = *end ? units.find(*end) : std::string::npos;
	if (unit != std::string::npos) {
		*number <<= 10 * (unit + 1);
		end++;
	}
	return !*end;
}

static bool flag(const std::string &text, bool *flag)
{
	*flag = text == "on";
	return text == "on" || text == "off";
}

static bool one_of(const std::string &text, const std::vector<std::string> &known,
		   std::string *chosen)
{
	for (const std::string &word : known) {
		if (text == word) {
			*chosen = text;
			return true;
		}
	}
	return false;
}

/* Short words for the states that the programs of a Mac spell out. */
static bool extension_state(const std::string &text, std::string *state)
{
	static const std::map<std::string, std::string> states = {
		{ "none", "" },
		{ "enabled", "activated enabled" },
		{ "waiting", "activated waiting for user" },
		{ "disabled", "activated disabled" },
		{ "terminated", "terminated waiting to uninstall on reboot" },
	};
	auto found = states.find(text);

	/* Others as they are: there may be states that nobody has told of. */
	*state = found == states.end() ? text : found->second;
	return !text.empty();
}

static bool set_number(struct mac &mac, const std::string &key, const std::string &text)
{
	uint64_t value;

	if (!number(text, &value))
		return false;
	if (key == "memory")
		mac.memory = value;
	else if (key == "cpus")
		mac.cpus = static_cast<unsigned int>(value);
	else if (key == "restless")
		mac.restless = value;
	else if (key == "abi")
		mac.abi = static_cast<uint32_t>(value);
	else if (key == "thunderbolt" && value >= 3 && value <= 5)
		mac.thunderbolt = static_cast<unsigned int>(value);
	else
		return false;
	return true;
}

static bool set(struct mac &mac, const std::string &key, const std::string &text)
{
	if (key == "silicon")
		return flag(text, &mac.apple_silicon);
	if (key == "signed")
		return flag(text, &mac.qemu_signed);
	if (key == "quiver_signed")
		return flag(text, &mac.quiver_signed);
	if (key == "sip")
		return one_of(text, { "enabled", "disabled", "custom" }, &mac.sip);
	if (key == "extension")
		return extension_state(text, &mac.extension);
	if (key == "version")
		mac.version = text;
	else if (key == "model")
		mac.model = text;
	else if (key == "extension_version")
		mac.extension_version = text;
	else if (key == "leftover")
		mac.leftover = text;
	else if (key == "upgrading")
		mac.upgrading = text;
	else if (key == "app")
		mac.app = text;
	else if (key == "spotlight")
		mac.spotlight = text;
	else if (key == "bundle")
		mac.bundle = text;
	else
		return set_number(mac, key, text);
	return true;
}

/* Up to a lone comma; a double one is one. */
static std::string next_item(const std::string &text, size_t *at)
{
	std::string item;

	for (; *at < text.size(); ++*at) {
		if (text[*at] == ',' && (++*at == text.size() || text[*at] != ','))
			return item;
		item += text[*at];
	}
	return item;
}

bool mac_option(struct mac &mac, const std::string &text)
{
	size_t at = 0;

	while (at < text.size()) {
		std::string item = next_item(text, &at);
		size_t equals = item.find('=');

		if (equals == std::string::npos ||
		    !set(mac, item.substr(0, equals), item.substr(equals + 1)))
			return false;
	}
	return true;
}

/* One start of the Mac is not another. */
static std::string boot_session()
{
	static const std::string session = [] {
		uint16_t part[8] = {};
		char text[40];

		if (getentropy(part, sizeof(part)))
			abort();
		snprintf(text, sizeof(text), "%04X%04X-%04X-%04X-%04X-%04X%04X%04X", part[0], part[1],
			 part[2], part[3], part[4], part[5], part[6], part[7]);
		return std::string(text);
	}();

	return session;
}

const value *mac_sysctl(const struct mac &mac, const std::string &name, value *room)
{
	if (name == "kern.osproductversion")
		*room = value::text(mac.version);
	else if (name == "kern.bootsessionuuid")
		*room = value::text(boot_session());
	else if (name == "hw.model")
		*room = value::text(mac.model);
	else if (name == "hw.memsize")
		*room = value::number(static_cast<int64_t>(mac.memory));
	else if (name == "hw.physicalcpu" || (name == "hw.perflevel0.physicalcpu" &&
					      mac.apple_silicon))
		*room = value::number(mac.cpus);
	else if (name == "hw.optional.arm64" && mac.apple_silicon)
		*room = value::number(1);
	else
		return NULL;
	return room;
}

static std::string extension_row(const struct mac &mac, const std::string &version,
				 const std::string &state)
{
	bool active = state.compare(0, 9, "activated") == 0;
	bool enabled = state == "activated enabled";

	return std::string(enabled ? "*" : "") + "\t" + (active ? "*" : "") + "\t" TEAM "\t" + mac.bundle +
	       ".driver (" + version + ")\t" NAME "\t[" + state + "]\n";
}

/* As systemextensionsctl of macOS 15 prints them, with somebody else's before ours. */
static std::string list_extensions(const struct mac &mac)
{
	std::string rows = "*\t*\tG43BCU2T37\torg.pqrs.Karabiner-DriverKit-VirtualHIDDevice"
			   " (1.8.0/1.8.0)\torg.pqrs.Karabiner-DriverKit-VirtualHIDDevice"
			   "\t[activated enabled]\n";
	unsigned int count = 1;

	if (!mac.leftover.empty()) {
		rows += extension_row(mac, mac.leftover, "terminated waiting to uninstall on reboot");
		count++;
	}
	if (!mac.upgrading.empty()) {
		rows += extension_row(mac, mac.upgrading, "terminating for upgrade via delegate");
		count++;
	}
	if (!mac.extension.empty()) {
		rows += extension_row(mac, mac.extension_version, mac.extension);
		count++;
	}
	return std::to_string(count) + " extension(s)\n--- com.apple.system_extension."
	       "driver_extension (Go to 'System Settings > General > Login Items & Extensions > "
	       "Driver Extensions' to modify these system extension(s))\nenabled\tactive\tteamID\t"
	       "bundleID (version)\tname\t[state]\n" + rows;
}

static std::string sip_status(const struct mac &mac)
{
	if (mac.sip != "custom")
		return "System Integrity Protection status: " + mac.sip + ".\n";
	return "System Integrity Protection status: unknown (Custom Configuration).\n\n"
	       "Configuration:\n\tApple Internal: disabled\n\tKext Signing: enabled\n"
	       "\tFilesystem Protections: enabled\n\tDebugging Restrictions: disabled\n"
	       "\tDTrace Restrictions: enabled\n\tNVRAM Protections: enabled\n"
	       "\tBaseSystem Verification: enabled\n";
}

/* By the program's name: ours, or a QEMU. */
static std::string entitlements(const struct mac &mac, const std::string &command)
{
	bool ours = command.substr(command.rfind('/') + 1) == "quiver";
	bool entitled = ours ? mac.quiver_signed : mac.qemu_signed;

	return "<?xml version=\"1.0\" encoding=\"UTF-8\"?><!DOCTYPE plist PUBLIC \"-//Apple//DTD "
	       "PLIST 1.0//EN\" \"https://www.apple.com/DTDs/PropertyList-1.0.dtd\"><plist "
	       "version=\"1.0\"><dict>" +
	       std::string(entitled ? "<key>com.apple.security.hypervisor</key><true/>" :
				      "<key>com.apple.security.cs.allow-jit</key><true/>") +
	       "</dict></plist>";
}

static std::string found_app(const struct mac &mac)
{
	if (mac.spotlight == "app")
		return mac.app;
	return mac.spotlight == "none" ? "" : mac.spotlight;
}

/* A query of one attribute, of those that Spotlight has of apps. */
static bool find_apps(const struct mac &mac, const std::string &query, std::string &output)
{
	std::string app = found_app(mac);

	if (query != "kMDItemFSName == '" APP "'" &&
	    query.compare(0, strlen("kMDItemCFBundleIdentifier == '"),
			  "kMDItemCFBundleIdentifier == '"))
		return false;
	if (!app.empty() && (query == "kMDItemFSName == '" APP "'" ||
			     query == "kMDItemCFBundleIdentifier == '" + mac.bundle + "'"))
		output = app + "\n";
	return true;
}

/* Of the one property list that there is. What it says of a file that is not there, it prints. */
static bool read_plist(const struct mac &mac, const std::string &arguments, std::string &output)
{
	static const std::string known = "-extract CFBundleIdentifier raw -o - ";
	std::string path = arguments.substr(arguments.find('/') == std::string::npos ?
					    arguments.size() : arguments.find('/'));

	if (arguments.compare(0, known.size(), known))
		return false;
	if (!mac.app.empty() && path == mac.app + "/Contents/Info.plist")
		output = mac.bundle + "\n";
	else
		output = path + ": file does not exist or is not readable or is not a regular file\n";
	return true;
}

bool mac_program(const struct mac &mac, const std::string &command, std::string &output)
{
	std::string name = command.substr(0, command.find(' '));

	if (command == "systemextensionsctl list")
		output = list_extensions(mac);
	else if (command == "csrutil status")
		output = sip_status(mac);
	else if (name == "mdfind")
		return find_apps(mac, command.substr(name.size() + 1), output);
	else if (name == "plutil")
		return read_plist(mac, command.substr(name.size() + 1), output);
	else if (name == "codesign")
		output = entitlements(mac, command);
	else
		return false;
	return true;
}
