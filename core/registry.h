/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registration by linker section: a folder puts a pointer to its const descriptor into a section,
 * and the code that walks the section needs to know no name. Objects are linked directly: inside an
 * archive such an entry would vanish. Nothing may depend on the order of the entries.
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#define REGISTRY_CAT2(a, b) a##b
#define REGISTRY_CAT(a, b)  REGISTRY_CAT2(a, b)

/* REGISTER - one entry: `ptr` is a `const type *` with static storage. */
#define REGISTER(section_, type, ptr) \
	static type const *const REGISTRY_CAT(registry_entry_, __LINE__) \
		__attribute__((section(#section_), used)) = (ptr)

/* REGISTRY - declares the ends of a section in the file that walks it. */
#define REGISTRY(section_, type) \
	extern type const *const REGISTRY_CAT(__start_, section_)[] __attribute__((weak)); \
	extern type const *const REGISTRY_CAT(__stop_, section_)[] __attribute__((weak))

/* REGISTRY_FOREACH - `it` is a `type const *const *`. */
#define REGISTRY_FOREACH(section_, it) \
	for (it = REGISTRY_CAT(__start_, section_); it < REGISTRY_CAT(__stop_, section_); it++)

#endif
