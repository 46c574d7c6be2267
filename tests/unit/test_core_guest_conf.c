/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest description (core/guest_conf.h): its words arrive, those of the call override them, each
 * wrong one is refused with a line that names it and the file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/guest_conf.h"
#include "core/yaml_file.h"

#define FILE_BEGINS "/tmp/test_guest_conf."

static char said[1024];

static void sink(void *opaque, const char *line)
{
	snprintf(said, sizeof(said), "%s", line);
}

static int load_bytes(const char *text, size_t size, struct guest_words *w, struct guest_conf **c)
{
	char path[] = FILE_BEGINS "XXXXXX";
	int fd = mkstemp(path), ret;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	close(fd);
	said[0] = '\0';
	ret = guest_conf_load(path, w, c);
	unlink(path);
	return ret;
}

static int load(const char *yaml, struct guest_words *w, struct guest_conf **c)
{
	return load_bytes(yaml, strlen(yaml), w, c);
}

static void drop(struct guest_words *w, struct guest_conf *c)
{
	guest_conf_free(c);
	free(w->nics);
	free(w->disks);
}

static void refused(const char *yaml, const char *word)
{
	struct guest_words w = { 0 };
	struct guest_conf *c;

	assert_int_equal(load(yaml, &w, &c), -EINVAL);
	assert_null(c);
	drop(&w, c);
	if (!strstr(said, word))
		fail_msg("'%s' does not name '%s'", said, word);
	if (!strstr(said, FILE_BEGINS))
		fail_msg("'%s' does not name the file", said);
	if (!strchr(said, ';'))
		fail_msg("'%s' has no remedy", said);
}

static void a_whole_file_arrives(void **state)
{
	struct guest_words w = { 0 };
	struct guest_conf *c;

	assert_int_equal(load("name: web\nkernel: /boot/vmlinuz\ninitrd: sub/initrd.img\n"
			      "append: console=ttyS0 root=/dev/vda\nmem: 512M\nhugepages: 2M\n"
			      "prefault: true\nreboot: false\ncpus: 2\npin: 0-1,io:0\n"
			      "disks: [\"root.img\", \"/srv/data.img,ro,queues=2\"]\n"
			      "nics:\n  - virtio,backend=tap\n  - e1000\n",
			      &w, &c),
			 0);
	assert_string_equal(w.name, "web");
	assert_string_equal(w.kernel, "/boot/vmlinuz");
	assert_string_equal(w.initrd, "/tmp/sub/initrd.img");
	assert_string_equal(w.append, "console=ttyS0 root=/dev/vda");
	assert_string_equal(w.mem, "512M");
	assert_string_equal(w.hugepages, "2M");
	assert_true(w.prefault);
	assert_true(w.no_reboot);
	assert_string_equal(w.cpus, "2");
	assert_string_equal(w.pin, "0-1,io:0");
	assert_string_equal(w.disks[0], "/tmp/root.img");
	assert_string_equal(w.disks[1], "/srv/data.img,ro,queues=2");
	assert_null(w.disks[2]);
	assert_string_equal(w.nics[0], "virtio,backend=tap");
	assert_string_equal(w.nics[1], "e1000");
	assert_null(w.nics[2]);
	drop(&w, c);
}

static void what_is_left_out_stays_unset(void **state)
{
	struct guest_words w = { 0 };
	struct guest_conf *c;

	assert_int_equal(load("prefault: false\nreboot: true\nnics: []\n", &w, &c), 0);
	assert_null(w.name);
	assert_null(w.kernel);
	assert_null(w.mem);
	assert_null(w.nics);
	assert_null(w.disks);
	assert_false(w.prefault);
	assert_false(w.no_reboot);
	drop(&w, c);
}

static void the_call_overrides_the_file(void **state)
{
	struct guest_words w = { .name = "mine", .mem = "1G", .prefault = true };
	struct guest_conf *c;

	w.nics = calloc(2, sizeof(*w.nics));
	assert_non_null(w.nics);
	w.nics[0] = "e1000";
	assert_int_equal(load("name: web\nkernel: /k\nmem: 512M\nprefault: false\n"
			      "nics: [virtio, virtio]\ndisks: [/d]\n",
			      &w, &c),
			 0);
	assert_string_equal(w.name, "mine");
	assert_string_equal(w.mem, "1G");
	assert_string_equal(w.kernel, "/k");
	assert_true(w.prefault);
	assert_string_equal(w.nics[0], "e1000");
	assert_null(w.nics[1]);
	assert_string_equal(w.disks[0], "/d");
	drop(&w, c);
}

static void wrong_values_are_named(void **state)
{
	refused("kernel: /k\nname: a/b\n", "name: 'a/b'");
	refused("kernel: ''\n", "kernel:");
	refused("initrd: ''\n", "initrd:");
	refused("mem: 1\n", "mem: '1'");
	refused("mem: 2000G\n", "mem: '2000G'");
	refused("cpus: 0\n", "cpus: '0'");
	refused("cpus: 65\n", "cpus: '65'");
	refused("hugepages: 4M\n", "hugepages: '4M'");
	refused("prefault: maybe\n", "prefault: 'maybe'");
	refused("reboot: never\n", "reboot: 'never'");
	refused("cpus: 2\npin: 0\n", "--pin '0'");
	refused("cpus: 1\npin: x\n", "--pin 'x'");
	refused("nics: [warp]\n", "--nic warp");
	refused("nics: [\"virtio,mac\"]\n", "'mac'");
	refused("nics: ['']\n", "options ''");
	refused("disks: [\",ro\"]\n", "--disk ',ro'");
	refused("disks: [\"d,colour\"]\n", "'colour'");
}

/* The number of CPUs may be the call's. */
static void a_pin_without_cpus_is_left_to_the_call(void **state)
{
	struct guest_words w = { .cpus = "4" };
	struct guest_conf *c;

	assert_int_equal(load("pin: 0-3\n", &w, &c), 0);
	assert_string_equal(w.pin, "0-3");
	drop(&w, c);
}

static void wrong_shapes_are_named(void **state)
{
	refused("kernel: /k\nbogus: 1\n", "bogus");
	refused("bogus: 1\n", "there are: name, kernel, initrd");
	refused("kernel: [a]\n", "kernel");
	refused("nics: virtio\n", "nics");
	refused("nics: [{type: virtio}]\n", "line: 1");
	refused("- kernel\n", "MAPPING");
	refused("kernel: /k\nkernel: /j\n", "kernel");
	refused("kernel: /k\n\"append\"\n", "line");
	refused("kernel: \xff\n", "UTF-8");
}

static void a_file_that_says_nothing_is_refused(void **state)
{
	refused("", "empty");
	refused("# nothing\n", "empty");
}

/* References to references: a short file could stand for a billion words. */
static void aliases_are_refused(void **state)
{
	refused("kernel: &a /k\ninitrd: *a\n", "alias");
	refused("nics: &a [x, x]\ndisks: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n", "alias");
}

static void an_unreadable_file_says_why(void **state)
{
	struct guest_words w = { 0 };
	struct guest_conf *c;

	assert_int_equal(guest_conf_load("/nonexistent.yaml", &w, &c), -ENOENT);
	assert_null(c);
	assert_non_null(strstr(said, "/nonexistent.yaml"));
	assert_int_equal(guest_conf_load("/tmp", &w, &c), -EISDIR);
	assert_null(c);
	assert_non_null(strstr(said, "folder"));
	assert_int_equal(guest_conf_load("/dev/zero", &w, &c), -EINVAL);
	assert_non_null(strstr(said, "longer"));
}

static void the_longest_file_is_read(void **state)
{
	static char text[YAML_FILE_MAX + 1];
	struct guest_words w = { 0 };
	struct guest_conf *c;

	memset(text, '\n', sizeof(text));
	memcpy(text, "kernel: /k", 10);
	assert_int_equal(load_bytes(text, YAML_FILE_MAX, &w, &c), 0);
	assert_string_equal(w.kernel, "/k");
	drop(&w, c);
	w = (struct guest_words){ 0 };
	assert_int_equal(load_bytes(text, YAML_FILE_MAX + 1, &w, &c), -EINVAL);
	assert_non_null(strstr(said, "longer"));
}

/* A disk's path ends at a comma, the folder's would be cut there. */
static void a_folder_with_a_comma_takes_no_relative_disk(void **state)
{
	static const char yaml[] = "disks: [d.img]\n";
	char folder[] = "/tmp/test,guest_conf.XXXXXX", path[64];
	struct guest_words w = { 0 };
	struct guest_conf *c;
	FILE *f;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/g.yaml", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(yaml, f);
	fclose(f);
	assert_int_equal(guest_conf_load(path, &w, &c), -EINVAL);
	unlink(path);
	rmdir(folder);
	assert_non_null(strstr(said, "comma"));
	assert_null(w.disks);
}

/* What is said after a file was read is not the file's. */
static void later_messages_do_not_name_the_file(void **state)
{
	refused("nics: [warp]\n", "warp");
	err_say("another thing; mend it");
	assert_string_equal(said, "fourlane: another thing; mend it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_file_arrives),
		cmocka_unit_test(what_is_left_out_stays_unset),
		cmocka_unit_test(the_call_overrides_the_file),
		cmocka_unit_test(wrong_values_are_named),
		cmocka_unit_test(a_pin_without_cpus_is_left_to_the_call),
		cmocka_unit_test(wrong_shapes_are_named),
		cmocka_unit_test(a_file_that_says_nothing_is_refused),
		cmocka_unit_test(aliases_are_refused),
		cmocka_unit_test(an_unreadable_file_says_why),
		cmocka_unit_test(the_longest_file_is_read),
		cmocka_unit_test(a_folder_with_a_comma_takes_no_relative_disk),
		cmocka_unit_test(later_messages_do_not_name_the_file),
	};

	err_set_sink(sink, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
