/* A plugin of qemu's user emulation that counts what a 64-bit ARM program executes, by kind.
 *
 * tools/bench/arm.py compiles it and reads what it prints at the end. qemu's header is in no Debian package, so the few
 * functions used here are declared from qemu's documentation of its plugin interface, version 1 (qemu 7.2).
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t at);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*on)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, enum qemu_plugin_op op, void *to, uint64_t add);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*on)(qemu_plugin_id_t, void *), void *data);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum kind { MULTIPLY, VECTOR, LOAD, OTHER, KINDS };
static const char *const NAMES[KINDS] = { "multiply", "vector", "load", "other" };
static uint64_t counts[KINDS];

/* Encodings from the Arm Architecture Reference Manual, C4.1 ("A64 instruction set encoding"). */
static enum kind kind_of(uint32_t word)
{
    static const uint32_t multiplies[][2] = {
        { 0xbfa0fc00, 0x0e20cc00 }, /* fmla, vectors */
        { 0xbf80f400, 0x0f801000 }, /* fmla, by element */
        { 0xbfe0fc00, 0x0e809400 }, /* sdot, vectors */
        { 0xbfc0f400, 0x0f80e000 }, /* sdot, by element */
        { 0xbf20fc00, 0x0e20c000 }, /* smull */
        { 0xbf20fc00, 0x0e208000 }, /* smlal */
        { 0xbf20fc00, 0x2e20c000 }, /* umull */
        { 0xbf20fc00, 0x2e208000 }, /* umlal */
    };
    for (size_t at = 0; at < sizeof multiplies / sizeof *multiplies; at++)
        if ((word & multiplies[at][0]) == multiplies[at][1])
            return MULTIPLY;
    if ((word >> 25 & 7) == 7)
        return VECTOR;
    if ((word >> 25 & 5) == 4)
        return LOAD; /* and stores, of which the kernels have few */
    return OTHER;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    uint64_t here[KINDS] = { 0 };
    (void)id;
    for (size_t at = 0; at < qemu_plugin_tb_n_insns(tb); at++)
        here[kind_of(*(const uint32_t *)qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, at)))]++;
    for (int kind = 0; kind < KINDS; kind++)
        if (here[kind])
            qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &counts[kind], here[kind]);
}

static void ended(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    for (int kind = 0; kind < KINDS; kind++)
        fprintf(stderr, "count %s %llu\n", NAMES[kind], (unsigned long long)counts[kind]);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
