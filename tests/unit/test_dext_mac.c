// SPDX-License-Identifier: BSD-3-Clause
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "call.h"
#include "test_dext_mac.h"

#define ARGUMENTS_MAX 64

static struct {
	pid_t pid;
	char dir[64], socket[96], report[96], log[96];
} mac;

static void pause_ms(unsigned int ms)
{
	struct timespec time = { .tv_nsec = ms * 1000000L };

	nanosleep(&time, NULL);
}

static void exec_daemon(const char *options)
{
	char *words = strdup(options), *argv[ARGUMENTS_MAX] = {
		(char *)SIMMACD, (char *)"--socket", mac.socket, (char *)"--report", mac.report,
		(char *)"--reset-us", (char *)"1000",
	};
	int argc = 7, log;

	for (char *word = strtok(words, " "); word && argc < ARGUMENTS_MAX - 1;
	     word = strtok(NULL, " "))
		argv[argc++] = word;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log = open(mac.log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execv(SIMMACD, argv);
	_exit(127);
}

void mac_start(const char *options)
{
	strcpy(mac.dir, "/tmp/test_dext.XXXXXX");
	assert_non_null(mkdtemp(mac.dir));
	snprintf(mac.socket, sizeof(mac.socket), "%s/s", mac.dir);
	snprintf(mac.report, sizeof(mac.report), "%s/report", mac.dir);
	snprintf(mac.log, sizeof(mac.log), "%s/log", mac.dir);
	setenv("QUIVER_SIMMAC", mac.socket, 1);
	mac.pid = fork();
	assert_true(mac.pid >= 0);
	if (!mac.pid)
		exec_daemon(options);
	for (int i = 0; access(mac.socket, F_OK); i++) {
		assert_true(i < 5000 && mac_alive());
		pause_ms(2);
	}
}

bool mac_alive(void)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, (id_t)mac.pid, &info, WEXITED | WNOHANG | WNOWAIT) && !info.si_pid;
}

static void show_log(void)
{
	char line[1024];
	FILE *log = fopen(mac.log, "r");

	while (log && fgets(line, sizeof(line), log))
		print_message("# %s", line);
	if (log)
		fclose(log);
}

static int wait_for_end(void)
{
	int status;

	assert_int_equal(waitpid(mac.pid, &status, 0), mac.pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void clean_up(void)
{
	unlink(mac.report);
	unlink(mac.log);
	unlink(mac.socket);
	rmdir(mac.dir);
}

int mac_end(void)
{
	int status;

	kill(mac.pid, SIGTERM);
	status = wait_for_end();
	if (status)
		show_log();
	clean_up();
	return status;
}

void mac_stop(void)
{
	assert_int_equal(mac_end(), 0);
}

int mac_teardown(void **unused)
{
	mac_stop();
	return 0;
}

const char *mac_panic(void)
{
	static char report[4096];
	int status = wait_for_end();
	FILE *file = fopen(mac.report, "r");

	if (status != 86)
		show_log();
	assert_int_equal(status, 86);
	assert_non_null(file);
	report[fread(report, 1, sizeof(report) - 1, file)] = '\0';
	fclose(file);
	clean_up();
	return report;
}

static char *read_all(int fd)
{
	struct stat info;
	char *text;

	assert_return_code(fstat(fd, &info), errno);
	text = calloc(1, (size_t)info.st_size + 1);
	assert_int_equal(pread(fd, text, (size_t)info.st_size, 0), info.st_size);
	close(fd);
	return text;
}

char *mac_control(const char *format, ...)
{
	char command[512];
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_CONTROL };
	struct simmac_call call = { .request = &request, .bytes = command, .pass = -1,
				    .take = -1 };
	struct simmac_port port = { .fd = simmac_call_connect(),
				    .lock = PTHREAD_MUTEX_INITIALIZER };
	kern_return_t result;
	va_list arguments;

	va_start(arguments, format);
	request.struct_size = (uint32_t)vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	assert_true(port.fd >= 0);
	result = simmac_call_run(&port, &call);
	close(port.fd);
	return result == kIOReturnSuccess ? read_all(call.take) : NULL;
}

bool mac_does(const char *command)
{
	char *answer = mac_control("%s", command);
	bool done = answer;

	free(answer);
	return done;
}

bool mac_answers(const char *command, const char *text)
{
	char *answer = mac_control("%s", command);
	bool has;

	assert_non_null(answer);
	has = strstr(answer, text);
	free(answer);
	return has;
}

json_t *mac_state(void)
{
	char *text = mac_control("state");
	json_t *state;

	assert_non_null(text);
	state = json_loads(text, 0, NULL);
	free(text);
	assert_non_null(state);
	return state;
}

uint64_t mac_device(const char *key)
{
	json_t *all = mac_state();
	json_t *value = json_object_get(json_array_get(json_object_get(all, "devices"), 0), key);
	uint64_t number;

	assert_true(json_is_integer(value) || json_is_boolean(value));
	number = json_is_boolean(value) ? json_is_true(value) :
					  (uint64_t)json_integer_value(value);
	json_decref(all);
	return number;
}

uint64_t mac_calls(const char *key)
{
	json_t *all = mac_state();
	uint64_t number = (uint64_t)json_integer_value(
		json_object_get(json_object_get(all, "calls"), key));

	json_decref(all);
	return number;
}

uint64_t mac_call_names(void)
{
	json_t *all = mac_state();
	uint64_t number = json_object_size(json_object_get(all, "calls"));

	json_decref(all);
	return number;
}

void mac_wait_device(const char *key, uint64_t value)
{
	for (int i = 0; i < 1000; i++) {
		if (mac_device(key) == value)
			return;
		pause_ms(2);
	}
	assert_int_equal(mac_device(key), value);
}

io_service_t mac_service(void)
{
	io_iterator_t iterator;
	io_service_t service;

	assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault,
						      IOServiceNameMatching(QUIVER_DEXT_SERVICE),
						      &iterator), kIOReturnSuccess);
	service = IOIteratorNext(iterator);
	IOObjectRelease(iterator);
	return service;
}

io_connect_t client_open(void)
{
	io_service_t service = mac_service();
	io_connect_t client;

	assert_int_not_equal(service, IO_OBJECT_NULL);
	assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &client), kIOReturnSuccess);
	IOObjectRelease(service);
	return client;
}

kern_return_t client_claim(io_connect_t client)
{
	return IOConnectCallScalarMethod(client, QUIVER_DEXT_CLAIM, NULL, 0, NULL, NULL);
}

io_connect_t client_open_claimed(void)
{
	io_connect_t client = client_open();
	kern_return_t result = kIOReturnExclusiveAccess;

	for (int i = 0; i < 1000 && result == kIOReturnExclusiveAccess; i++) {
		result = client_claim(client);
		if (result)
			pause_ms(2);
	}
	assert_int_equal(result, kIOReturnSuccess);
	return client;
}

kern_return_t client_identify(io_connect_t client, struct quiver_dext_identity *identity)
{
	size_t size = sizeof(*identity);

	return IOConnectCallStructMethod(client, QUIVER_DEXT_IDENTIFY, NULL, 0, identity, &size);
}

kern_return_t client_stats(io_connect_t client, struct quiver_dext_stats *stats)
{
	size_t size = sizeof(*stats);

	return IOConnectCallStructMethod(client, QUIVER_DEXT_STATS, NULL, 0, stats, &size);
}

uint32_t client_state(io_connect_t client)
{
	struct quiver_dext_identity identity;

	assert_int_equal(client_identify(client, &identity), kIOReturnSuccess);
	return identity.state;
}

uint32_t client_config_read(io_connect_t client, unsigned int offset, unsigned int width)
{
	const uint64_t input[] = { offset, width };
	uint64_t value;
	uint32_t count = 1;

	assert_int_equal(IOConnectCallScalarMethod(client, QUIVER_DEXT_CONFIG_READ, input, 2,
						   &value, &count), kIOReturnSuccess);
	assert_int_equal(count, 1);
	return (uint32_t)value;
}

kern_return_t client_config_write(io_connect_t client, unsigned int offset, unsigned int width,
				  uint32_t value)
{
	const uint64_t input[] = { offset, width, value };

	return IOConnectCallScalarMethod(client, QUIVER_DEXT_CONFIG_WRITE, input, 3, NULL, NULL);
}

void client_master(io_connect_t client, bool on)
{
	assert_int_equal(client_config_write(client, 4, 2, on ? 6 : 2), kIOReturnSuccess);
}

kern_return_t client_reset(io_connect_t client, uint64_t *dropped)
{
	const uint64_t flags = 0;
	uint32_t count = 1;

	return IOConnectCallScalarMethod(client, QUIVER_DEXT_RESET, &flags, 1, dropped, &count);
}

kern_return_t client_irq(io_connect_t client, uint64_t type, uint64_t count, uint64_t *granted)
{
	const uint64_t input[] = { type, count };
	uint32_t outputs = 1;

	return IOConnectCallScalarMethod(client, QUIVER_DEXT_IRQ_CONFIGURE, input, 2, granted,
					 &outputs);
}

void *client_map_memory(io_connect_t client, uint32_t type, size_t *size)
{
	mach_vm_address_t address = 0;
	mach_vm_size_t length = 0;

	if (IOConnectMapMemory64(client, type, mach_task_self(), &address, &length,
				 kIOMapAnywhere))
		return NULL;
	if (size)
		*size = length;
	return (void *)(uintptr_t)address;
}

void client_dma(io_connect_t client, struct quiver_dext_dma_request *request,
		struct quiver_dext_dma_result *result)
{
	size_t size = offsetof(struct quiver_dext_dma_result, entry[request->count]);
	size_t expected = size;

	assert_int_equal(IOConnectCallStructMethod(client, QUIVER_DEXT_DMA, request,
						   offsetof(struct quiver_dext_dma_request,
							    entry[request->count]),
						   result, &size), kIOReturnSuccess);
	assert_int_equal(size, expected);
	assert_int_equal(result->count, request->count);
}

static uint32_t dma_one(io_connect_t client, struct quiver_dext_dma_entry entry, uint64_t *iova)
{
	static _Thread_local struct quiver_dext_dma_request request;
	struct quiver_dext_dma_result result;
	size_t size = offsetof(struct quiver_dext_dma_result, entry[1]);

	request.count = 1;
	request.entry[0] = entry;
	if (IOConnectCallStructMethod(client, QUIVER_DEXT_DMA, &request,
				      offsetof(struct quiver_dext_dma_request, entry[1]), &result,
				      &size))
		return UINT32_MAX;
	*iova = result.entry[0].iova;
	return result.entry[0].status;
}

uint32_t client_dma_map(io_connect_t client, const void *memory, uint64_t length, uint64_t *iova)
{
	return dma_one(client, (struct quiver_dext_dma_entry){
		.op = QUIVER_DEXT_DMA_MAP, .flags = QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE,
		.address = (uintptr_t)memory, .length = length }, iova);
}

uint32_t client_dma_unmap(io_connect_t client, uint64_t iova, uint64_t length)
{
	return dma_one(client, (struct quiver_dext_dma_entry){
		.op = QUIVER_DEXT_DMA_UNMAP, .iova = iova, .length = length }, &iova);
}

void *memory_new(size_t length)
{
	char *memory = mmap(NULL, length + GRANULE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t skip;

	assert_ptr_not_equal(memory, MAP_FAILED);
	skip = (GRANULE - (uintptr_t)memory % GRANULE) % GRANULE;
	if (skip)
		munmap(memory, skip);
	munmap(memory + skip + length, GRANULE - skip);
	return memory + skip;
}

void memory_free(void *memory, size_t length)
{
	munmap(memory, length);
}
