/* enclave_signer/boot_codes.py in C; tests/enclave/test_boot_codes.py compares the two. */
#ifndef CASEMATE_BOOT_CODES_H
#define CASEMATE_BOOT_CODES_H

enum boot_code {
    RUNNING = 0x01,
    MOUNT = 0x10,
    MODULE = 0x11,
    NO_NSM = 0x12,
    ENTROPY = 0x13,
    HEARTBEAT = 0x14,
    COMMAND = 0x15,
    CONFINE = 0x16,
    EXEC = 0x17,
    FORK = 0x18,
    STOPPED = 0x20,
    FAULT = 0x21,
    WRONG_USE = 0x22,
    QUORUM = 0x23,
    LISTEN = 0x24,
    BUNDLE = 0x25,
    OTHER_STATUS = 0x2F,
    KILLED = 0x30,
    CRASHED = 0x31,
    SIGNALLED = 0x32,
};

#endif
