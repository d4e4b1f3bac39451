/*
 * PID 1 of the enclave. In this order:
 *   1. mounts /dev, fills the standard streams; loads /modules/... in the order of their names
 *   2. heartbeat: 0xB7 to port 9000 of the parent (CID 3), and the same byte back
 *   3. entropy: random bytes of the NSM into the kernel's pool, credited
 *   4. starts /command in /rootfs, as a user without rights, and waits for its end
 *   5. tells the parent by one code why it ended (boot_codes.h), and turns the machine off
 *
 * /command has one word on each line: NAME=value lines first, which are its whole environment, then the program and
 * its arguments. Part of the measured image (PCR1); static, so that it needs nothing of /rootfs.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/random.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boot_codes.h"

#define PARENT_CID 3
#define HEARTBEAT_PORT 9000
#define CODE_PORT 9001
#define MARK 0xB7
#define PATIENCE_S 5
#define NOBODY 65534
#define SAFE (MS_NOSUID | MS_NOEXEC)
#define MAX_WORDS 128
#define MAX_COMMAND 16384
/* aws-nitro-enclaves-nsm-api: _IOWR(0x0A, 0, 32 bytes), two iovecs; GetRandom gives at most 256 bytes a call. */
#define NSM_IOCTL 0xC0200A00
#define NSM_RESPONSE 0x3000
#define NSM_RANDOM 256
#define ENTROPY_ROUNDS 2

/* Connects to a port of the parent; -1 if it cannot. Reads and writes on it are bounded as well. */
static int parent(unsigned port) {
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = PARENT_CID, .svm_port = port};
    int line = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (line < 0)
        return -1;
    setsockopt(line, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience, sizeof patience);
    setsockopt(line, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(line, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(line, (struct sockaddr *)&address, sizeof address) == 0)
        return line;
    close(line);
    return -1;
}

/* Tells the parent, if it listens. The line stays open until the parent has read it, or lost patience. */
static void tell(enum boot_code code) {
    unsigned char said[2] = {MARK, code}, end;
    int line = parent(CODE_PORT);
    if (line < 0)
        return;
    if (send(line, said, sizeof said, MSG_NOSIGNAL) == sizeof said) {
        shutdown(line, SHUT_WR);
        (void)!read(line, &end, 1);
    }
    close(line);
}

static void give_up(enum boot_code code) {
    tell(code);
    sync();
    reboot(RB_AUTOBOOT);
    for (;;)
        pause();
}

/*
 * The first three descriptors are always somebody's standard streams: a kernel without a console opens none, and then
 * the first sockets of the program would be what its libraries, which write to number 2, take for stderr.
 */
static int fill_streams(void) {
    int file;
    do
        file = open("/dev/null", O_RDWR);
    while (file >= 0 && file <= STDERR_FILENO);
    return file < 0 ? -1 : close(file);
}

static void load_modules(void) {
    struct dirent **names;
    int count = scandir("/modules", &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[512];
        if (names[i]->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/modules/%s", names[i]->d_name);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0 || (syscall(SYS_finit_module, file, "", 0) != 0 && errno != EEXIST))
            give_up(MODULE);
        close(file);
    }
}

static void heartbeat(void) {
    unsigned char byte = MARK, back = 0;
    int line = parent(HEARTBEAT_PORT);
    if (line < 0 || send(line, &byte, 1, MSG_NOSIGNAL) != 1 || read(line, &back, 1) != 1 || back != MARK)
        give_up(HEARTBEAT);
    close(line);
}

/* {"GetRandom": {"random": h'...'}} -> where the bytes are, and how many; 0 if it is anything else. */
static size_t random_bytes(const unsigned char *answer, size_t length, const unsigned char **bytes) {
    static const unsigned char head[] = "\xa1\x69GetRandom\xa1\x66random";
    size_t at = sizeof head - 1, count, size;
    if (length < at + 3 || memcmp(answer, head, at) != 0)
        return 0;
    if (answer[at] == 0x58) {
        count = answer[at + 1];
        size = 2;
    } else if (answer[at] == 0x59) {
        count = (size_t)answer[at + 1] << 8 | answer[at + 2];
        size = 3;
    } else
        return 0;
    *bytes = answer + at + size;
    return count <= NSM_RANDOM && at + size + count == length ? count : 0;
}

static void stir(int pool, const unsigned char *bytes, size_t count) {
    struct {
        struct rand_pool_info info;
        unsigned char bytes[NSM_RANDOM];
    } given = {.info = {.entropy_count = (int)count * 8, .buf_size = (int)count}};
    memcpy(given.info.buf, bytes, count);
    if (ioctl(pool, RNDADDENTROPY, &given) != 0)
        give_up(ENTROPY);
    explicit_bzero(&given, sizeof given);
}

static void entropy(void) {
    static unsigned char answer[NSM_RESPONSE];
    static const unsigned char request[] = "\x69GetRandom";
    const unsigned char *bytes;
    int nsm = open("/dev/nsm", O_RDWR | O_CLOEXEC), pool = open("/dev/random", O_RDWR | O_CLOEXEC);
    if (nsm < 0)
        give_up(NO_NSM);
    for (int round = 0; round < ENTROPY_ROUNDS; round++) {
        uint64_t both[4] = {(uintptr_t)request, sizeof request - 1, (uintptr_t)answer, sizeof answer};
        size_t count = ioctl(nsm, NSM_IOCTL, both) == 0 ? random_bytes(answer, both[3], &bytes) : 0;
        if (count == 0)
            give_up(ENTROPY);
        stir(pool, bytes, count);
    }
    explicit_bzero(answer, sizeof answer);
    close(nsm);
    close(pool);
}

/* Cuts /command into words; the environment's come first. */
static char **read_command(char **environment) {
    static char text[MAX_COMMAND + 1], *words[MAX_WORDS + 1];
    int file = open("/command", O_RDONLY | O_CLOEXEC), count = 0, named = 0;
    ssize_t length = file < 0 ? -1 : read(file, text, MAX_COMMAND);
    if (length <= 0 || length == MAX_COMMAND || text[length - 1] != '\n')
        give_up(COMMAND);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (count == MAX_WORDS)
            give_up(COMMAND);
        if (count == named && line[0] != '/' && strchr(line, '=') != NULL)
            environment[named++] = line;
        words[count++] = line;
    }
    if (count == named || words[named][0] != '/')
        give_up(COMMAND);
    close(file);
    return words + named;
}

static int place(const char *kind, const char *where, unsigned long flags, const char *data) {
    mkdir(where, 0755);
    return mount(kind, where, kind, flags, data);
}

/* Leaves init's world for /rootfs, and root for nobody. Returns what failed. */
static enum boot_code confine(void) {
    struct rlimit none = {0, 0};
    if (place("devtmpfs", "/rootfs/dev", SAFE, NULL) || place("proc", "/rootfs/proc", SAFE | MS_NODEV, NULL) ||
        place("sysfs", "/rootfs/sys", SAFE | MS_NODEV | MS_RDONLY, NULL) ||
        place("tmpfs", "/rootfs/tmp", SAFE | MS_NODEV, "mode=1777,size=16m"))
        return MOUNT;
    /* As mount(8) does it for an initial ramdisk, which cannot be pivoted: over the old root, then into it. */
    if (mount("/rootfs", "/rootfs", NULL, MS_BIND | MS_REC, NULL) || chdir("/rootfs") ||
        mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
        return CONFINE;
    if (setrlimit(RLIMIT_CORE, &none) || setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
        setresuid(NOBODY, NOBODY, NOBODY) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return CONFINE;
    return 0;
}

/* Starts the command. The pipe closes by itself when the program runs; before that, it carries what failed. */
static pid_t start(void) {
    static char *environment[MAX_WORDS + 1];
    char **words = read_command(environment);
    unsigned char failed;
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        give_up(FORK);
    pid_t child = fork();
    if (child < 0)
        give_up(FORK);
    if (child == 0) {
        setsid();
        failed = confine();
        if (failed == 0) {
            execve(words[0], words, environment);
            failed = EXEC;
        }
        (void)!write(report[1], &failed, 1);
        _exit(1);
    }
    close(report[1]);
    if (read(report[0], &failed, 1) == 1)
        give_up(failed);
    close(report[0]);
    return child;
}

static enum boot_code why(int status) {
    if (WIFSIGNALED(status))
        switch (WTERMSIG(status)) {
        case SIGKILL:
            return KILLED;
        case SIGSEGV:
        case SIGBUS:
        case SIGILL:
        case SIGFPE:
        case SIGABRT:
            return CRASHED;
        default:
            return SIGNALLED;
        }
    switch (WEXITSTATUS(status)) {
    case 0:
        return STOPPED;
    case 1:
        return FAULT;
    case 2:
        return WRONG_USE;
    case QUORUM:
        return QUORUM;
    case LISTEN:
        return LISTEN;
    case BUNDLE:
        return BUNDLE;
    default:
        return OTHER_STATUS;
    }
}

int main(void) {
    int status = 0;
    pid_t child, ended;
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    if (place("devtmpfs", "/dev", SAFE, NULL) != 0 && errno != EBUSY)
        give_up(MOUNT);
    if (fill_streams() != 0)
        give_up(MOUNT);
    load_modules();
    heartbeat();
    entropy();
    child = start();
    tell(RUNNING);
    /* As PID 1 it inherits every orphan, too. */
    while ((ended = wait(&status)) != child)
        if (ended < 0 && errno == ECHILD)
            give_up(OTHER_STATUS);
    give_up(why(status));
}
