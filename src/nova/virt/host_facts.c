/* SPDX-License-Identifier: Apache-2.0
 * host_facts: see host_facts.h. */
#include "nova/virt/host_facts.h"

#include "base/buf.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { CPUINFO_LIMIT = 16 << 20, MEMINFO_LIMIT = 64 << 10, FLAGS_MAX = 512, KVM_API = 12 };

static const struct {
    const char *feature, *trait;
} cpu_traits[] = {
    { "3dnow",            "HW_CPU_X86_3DNOW" },
    { "abm",              "HW_CPU_X86_ABM" },
    { "aes",              "HW_CPU_X86_AESNI" },
    { "avx",              "HW_CPU_X86_AVX" },
    { "avx2",             "HW_CPU_X86_AVX2" },
    { "avx512bw",         "HW_CPU_X86_AVX512BW" },
    { "avx512cd",         "HW_CPU_X86_AVX512CD" },
    { "avx512dq",         "HW_CPU_X86_AVX512DQ" },
    { "avx512er",         "HW_CPU_X86_AVX512ER" },
    { "avx512f",          "HW_CPU_X86_AVX512F" },
    { "avx512pf",         "HW_CPU_X86_AVX512PF" },
    { "avx512vl",         "HW_CPU_X86_AVX512VL" },
    { "avx512vnni",       "HW_CPU_X86_AVX512VNNI" },
    { "avx512vbmi",       "HW_CPU_X86_AVX512VBMI" },
    { "avx512ifma",       "HW_CPU_X86_AVX512IFMA" },
    { "avx512vbmi2",      "HW_CPU_X86_AVX512VBMI2" },
    { "avx512bitalg",     "HW_CPU_X86_AVX512BITALG" },
    { "vaes",             "HW_CPU_X86_AVX512VAES" },
    { "gfni",             "HW_CPU_X86_AVX512GFNI" },
    { "vpclmulqdq",       "HW_CPU_X86_AVX512VPCLMULQDQ" },
    { "avx512-vpopcntdq", "HW_CPU_X86_AVX512VPOPCNTDQ" },
    { "bmi1",             "HW_CPU_X86_BMI" },
    { "bmi2",             "HW_CPU_X86_BMI2" },
    { "pclmuldq",         "HW_CPU_X86_CLMUL" },
    { "f16c",             "HW_CPU_X86_F16C" },
    { "fma",              "HW_CPU_X86_FMA3" },
    { "fma4",             "HW_CPU_X86_FMA4" },
    { "mmx",              "HW_CPU_X86_MMX" },
    { "mpx",              "HW_CPU_X86_MPX" },
    { "sha-ni",           "HW_CPU_X86_SHA" },
    { "sse",              "HW_CPU_X86_SSE" },
    { "sse2",             "HW_CPU_X86_SSE2" },
    { "sse3",             "HW_CPU_X86_SSE3" },
    { "sse4.1",           "HW_CPU_X86_SSE41" },
    { "sse4.2",           "HW_CPU_X86_SSE42" },
    { "sse4a",            "HW_CPU_X86_SSE4A" },
    { "ssse3",            "HW_CPU_X86_SSSE3" },
    { "svm",              "HW_CPU_X86_SVM" },
    { "svm",              "HW_CPU_X86_AMD_SVM" },
    { "tbm",              "HW_CPU_X86_TBM" },
    { "vmx",              "HW_CPU_X86_VMX" },
    { "vmx",              "HW_CPU_X86_INTEL_VMX" },
    { "xop",              "HW_CPU_X86_XOP" },
    { "pni",              "HW_CPU_X86_SSE3" }, /* from here on the kernel's names for the same */
    { "sse4_1",           "HW_CPU_X86_SSE41" },
    { "sse4_2",           "HW_CPU_X86_SSE42" },
    { "pclmulqdq",        "HW_CPU_X86_CLMUL" },
    { "sha_ni",           "HW_CPU_X86_SHA" },
    { "avx512_vnni",      "HW_CPU_X86_AVX512VNNI" },
    { "avx512_vbmi2",     "HW_CPU_X86_AVX512VBMI2" },
    { "avx512_bitalg",    "HW_CPU_X86_AVX512BITALG" },
    { "avx512_vpopcntdq", "HW_CPU_X86_AVX512VPOPCNTDQ" },
};

enum { TRAIT_ROWS = sizeof(cpu_traits) / sizeof(cpu_traits[0]) };

/* The value of the first "name : value" line, or "". */
static const char *cpuinfo_value(struct arena *arena, const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text, *end; *line != '\0'; line = end + (*end != '\0')) {
        end = line + strcspn(line, "\n");
        if (strncmp(line, name, length) != 0 || strchr("\t :", line[length]) == NULL)
            continue;
        const char *colon = strchr(line, ':');
        if (colon == NULL)
            break;
        colon += 1 + strspn(colon + 1, " ");
        return arena_strndup(arena, colon, strcspn(colon, "\n"));
    }
    return "";
}

static const char *read_cpuinfo(struct arena *arena)
{
    const char *text = file_read(arena, "/proc/cpuinfo", CPUINFO_LIMIT, NULL);
    return text != NULL ? text : "";
}

/* The processor's flags as /proc/cpuinfo names them, NULL-terminated. */
static const char *const *host_cpu_flags(struct arena *arena)
{
    char *line = arena_strdup(arena, cpuinfo_value(arena, read_cpuinfo(arena), "flags"));
    const char **flags = ARENA_ARRAY(arena, const char *, FLAGS_MAX + 1);
    size_t count = 0;
    char *state = NULL;
    for (char *flag = strtok_r(line, " ", &state); flag != NULL && count < FLAGS_MAX; flag = strtok_r(NULL, " ", &state))
        flags[count++] = flag;
    return flags;
}

bool host_kvm_works(void)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    bool offered = false;
    for (const char *const *flag = host_cpu_flags(arena); *flag != NULL; flag++)
        offered |= strcmp(*flag, "vmx") == 0 || strcmp(*flag, "svm") == 0;
    int fd = offered ? open("/dev/kvm", O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return false;
    int machine = ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API ? ioctl(fd, KVM_CREATE_VM, 0) : -1;
    if (machine >= 0)
        close(machine);
    close(fd);
    return machine >= 0;
}

static uint64_t meminfo_kib(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

void host_memory(uint64_t *ret_total_mb, uint64_t *ret_used_mb)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *text = file_read(arena, "/proc/meminfo", MEMINFO_LIMIT, NULL);
    if (text == NULL)
        text = "";
    uint64_t total = meminfo_kib(text, "MemTotal:");
    uint64_t available = meminfo_kib(text, "MemFree:") + meminfo_kib(text, "\nBuffers:") + meminfo_kib(text, "\nCached:");
    *ret_total_mb = total / 1024;
    *ret_used_mb = total > available ? (total - available) / 1024 : 0;
}

struct fault *host_disk(struct arena *arena, const char *path, uint64_t *ret_total_gb, uint64_t *ret_used_gb,
    uint64_t *ret_free_gb)
{
    struct statvfs status;
    if (statvfs(path, &status) != 0)
        return fault_new(arena, 500, NULL, "The file system of %s cannot be read: %s.", path, strerror(errno));
    uint64_t unit = status.f_frsize;
    *ret_total_gb = status.f_blocks * unit >> 30;
    *ret_free_gb = status.f_bavail * unit >> 30;
    *ret_used_gb = (status.f_blocks - status.f_bfree) * unit >> 30;
    return NULL;
}

unsigned host_cpus(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}

const char *host_arch(struct arena *arena)
{
    struct utsname name;
    return uname(&name) == 0 ? arena_strdup(arena, name.machine) : "x86_64";
}

const char *host_name(struct arena *arena)
{
    char name[256] = "localhost";
    gethostname(name, sizeof(name) - 1);
    return arena_strdup(arena, name);
}

/* Kernel words are plain ASCII; whatever is not would break the JSON, so it is left out. */
static void quote(struct buf *out, const char *text)
{
    buf_putc(out, '"');
    for (; *text != '\0'; text++)
        if (*text >= ' ' && *text < 0x7f && *text != '"' && *text != '\\')
            buf_putc(out, *text);
    buf_putc(out, '"');
}

const char *host_cpu_info(struct arena *arena)
{
    const char *text = read_cpuinfo(arena);
    const char *vendor = cpuinfo_value(arena, text, "vendor_id");
    if (strcmp(vendor, "GenuineIntel") == 0)
        vendor = "Intel";
    else if (strcmp(vendor, "AuthenticAMD") == 0)
        vendor = "AMD";
    long cores = atol(cpuinfo_value(arena, text, "cpu cores"));
    long siblings = atol(cpuinfo_value(arena, text, "siblings"));
    cores = cores > 0 ? cores : 1;
    long threads = siblings > cores ? siblings / cores : 1;
    long sockets = (long)host_cpus() / (cores * threads);
    BUF_CLEANUP struct buf out = { 0 };
    buf_puts(&out, "{\"arch\": ");
    quote(&out, host_arch(arena));
    buf_puts(&out, ", \"model\": ");
    quote(&out, cpuinfo_value(arena, text, "model name"));
    buf_puts(&out, ", \"vendor\": ");
    quote(&out, vendor);
    buf_printf(&out, ", \"topology\": {\"cells\": 1, \"sockets\": %ld, \"cores\": %ld, \"threads\": %ld}, \"features\": [",
        sockets > 0 ? sockets : 1, cores, threads);
    const char *separator = "";
    for (const char *const *flag = host_cpu_flags(arena); *flag != NULL; flag++, separator = ", ") {
        buf_puts(&out, separator);
        quote(&out, *flag);
    }
    buf_puts(&out, "]}");
    return arena_strdup(arena, buf_text(&out));
}

static bool has_feature(const char *const *features, const char *feature)
{
    for (; *features != NULL; features++)
        if (strcmp(*features, feature) == 0)
            return true;
    return false;
}

const char *const *host_cpu_traits(struct arena *arena, const char *const *features)
{
    const char **traits = ARENA_ARRAY(arena, const char *, TRAIT_ROWS + 1);
    size_t count = 0;
    for (size_t i = 0; i < TRAIT_ROWS; i++)
        if (has_feature(features, cpu_traits[i].feature) && !has_feature(traits, cpu_traits[i].trait))
            traits[count++] = cpu_traits[i].trait;
    return traits;
}
