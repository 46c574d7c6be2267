/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests count: this process's open descriptors, to see that none stays behind, and how often
 * something was said.
 */
#ifndef TESTS_UNIT_HELPER_COUNT_H
#define TESTS_UNIT_HELPER_COUNT_H

/* count_fds - a number to compare with another answer of it, not the number of descriptors. */
unsigned int count_fds(void);
/* count_words - how often these words are in the text. */
unsigned int count_words(const char *text, const char *words);

#endif
