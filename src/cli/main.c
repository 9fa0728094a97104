#include "cli/commands.h"
#include <stdlib.h>
#include <unistd.h>

/* OpenMP's threads spin for milliseconds at each barrier by default, which on a machine that has other work costs several
 * times the work itself. How long is read from the environment when the runtime is loaded, before main: so a first
 * start sets it and starts again. Costs some four milliseconds; a value that the user has set is left alone. */
static void spin_less(char **argv) {
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY") || getenv("KMP_BLOCKTIME")) return;
    if (setenv("GOMP_SPINCOUNT", "10000", 1) != 0 || setenv("KMP_BLOCKTIME", "0", 1) != 0) return;
    char path[4096]; /* not the link itself: a process is listed under the name that it was started by */
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return;
    path[n] = '\0';
    (void)execv(path, argv); /* where that fails, go on as it is */
}

int main(int argc, char **argv) {
    spin_less(argv);
    return as_cli_main(argc, argv);
}
