/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See yaml_file.h. The file is read here and not by libcyaml, so that its size has a bound and the
 * reason why it cannot be read is known. YAML 1.1, one document.
 */
#include "core/yaml_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"

/* libcyaml says what is wrong first, then where, in lines of their own. */
struct yaml_words {
	char what[160];
	char where[96];
};

static void yaml_log(cyaml_log_t level, void *ctx, const char *fmt, va_list ap)
{
	struct yaml_words *w = ctx;
	char line[160], *at;

	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	at = strstr(line, "(line: ");
	if (!at && !w->what[0] && strncmp(line, "Load: Backtrace", 15))
		snprintf(w->what, sizeof(w->what), "%s",
			 !strncmp(line, "Load: ", 6) ? line + 6 : line);
	else if (at && !w->where[0])
		snprintf(w->where, sizeof(w->where), " %s", line + strspn(line, " "));
}

/* At most `size` bytes into buf; how many there are in *len. */
static int yaml_read(const char *file, char *buf, size_t size, size_t *len)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), ret = 0;
	ssize_t n = 1;

	if (fd < 0)
		return err_ret(-errno, "reading %s: %s; check the path", file, strerror(errno));
	*len = 0;
	while (n && *len < size) {
		n = read(fd, buf + *len, size - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			ret = -errno;
			break;
		}
		*len += (size_t)n;
	}
	close(fd);
	if (ret == -EISDIR)
		return err_ret(ret, "reading %s: it is a folder; give a file", file);
	if (ret < 0)
		return err_ret(ret, "reading %s: %s; check the file", file, strerror(-ret));
	if (*len == size)
		return err_ret(-EINVAL, "reading %s: longer than %d KiB; give a shorter file", file,
			       YAML_FILE_MAX / 1024);
	return 0;
}

static int yaml_parse(const char *file, const char *text, size_t len,
		      const cyaml_schema_value_t *schema, const char *keys, void **out)
{
	struct yaml_words said = { 0 };
	const cyaml_config_t config = {
		.log_fn = yaml_log,
		.log_ctx = &said,
		.log_level = CYAML_LOG_ERROR,
		.mem_fn = cyaml_mem,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	cyaml_err_t bad = cyaml_load_data((const uint8_t *)text, len, &config, schema, out, NULL);

	if (bad == CYAML_ERR_OOM)
		return err_ret(-ENOMEM, "reading %s: out of memory; free some", file);
	if (bad == CYAML_ERR_INVALID_KEY && keys)
		return err_ret(-EINVAL, "reading %s: %s%s; there are: %s", file, said.what,
			       said.where, keys);
	if (bad != CYAML_OK)
		return err_ret(-EINVAL, "reading %s: %s%s; mend the file", file,
			       said.what[0] ? said.what : cyaml_strerror(bad), said.where);
	return 0;
}

int yaml_file_text(const char *file, char **text, size_t *len)
{
	char *buf = malloc(YAML_FILE_MAX + 1);
	int ret;

	*text = NULL;
	if (!buf)
		return err_ret(-ENOMEM, "reading %s: out of memory; free some", file);
	ret = yaml_read(file, buf, YAML_FILE_MAX + 1, len);
	if (ret < 0)
		free(buf);
	else
		*text = buf;
	return ret;
}

int yaml_file_load(const char *file, const cyaml_schema_value_t *schema, const char *keys,
		   void **out)
{
	char *text;
	size_t len;
	int ret = yaml_file_text(file, &text, &len);

	*out = NULL;
	if (ret == 0 && len)
		ret = yaml_parse(file, text, len, schema, keys, out);
	free(text);
	return ret;
}

void yaml_file_free(const cyaml_schema_value_t *schema, void *data)
{
	const cyaml_config_t config = { .mem_fn = cyaml_mem };

	cyaml_free(&config, schema, data, 0);
}
