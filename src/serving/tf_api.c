/* SPDX-License-Identifier: Apache-2.0 */
/* Opening TensorFlow's libraries, see tf_api.h. */
#include "serving/tf_api.h"

#include <dlfcn.h>
#include <stdlib.h>
#include "base/mem.h"

static int open_library(const char *dir, const char *name, void **ret, struct err *err)
{
	CLEANUP(free) char *path = mem_printf("%s/%s", dir, name);

	/* Local: TensorFlow exports the symbols of BoringSSL, curl and LLVM. */
	*ret = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!*ret)
		return err_set(err, ERR_UNAVAILABLE, "cannot load '%s': %s", path, dlerror());
	return 0;
}

int tf_api_open(const char *package_dir, struct tf_api *ret, struct err *err)
{
	struct tf_api api = {0};
	int r;

	setenv("TF_CPP_MIN_LOG_LEVEL", "3", 0);
	r = open_library(package_dir, "libtensorflow_framework.so.2", &api.framework, err);
	if (r >= 0)
		r = open_library(package_dir, "libtensorflow_cc.so.2", &api.cc, err);
	if (r < 0)
		return r;
#define TF_API_LOAD(result, name, args, library)                                                             \
	*(void **)&api.name = dlsym(library == 'f' ? api.framework : api.cc, #name);                         \
	if (!api.name)                                                                                       \
		return err_set(err, ERR_UNSUPPORTED,                                                         \
			       "TensorFlow in '%s' lacks '%s'; 2.4 or newer is needed", package_dir, #name);
	TF_API(TF_API_LOAD)
#undef TF_API_LOAD
	*ret = api;
	return 0;
}

struct str tf_tstring_view(const struct tf_tstring *s)
{
	switch (s->small.size_kind & 3) {
	case TF_TSTRING_SMALL:
		return (struct str){s->small.text, s->small.size_kind >> 2};
	case TF_TSTRING_OFFSET:
		return (struct str){(const char *)s + s->offset.offset, s->offset.size_kind >> 2};
	case TF_TSTRING_LARGE:
		return (struct str){s->large.data, s->large.size_kind >> 2};
	default:
		return (struct str){s->view.data, s->view.size_kind >> 2};
	}
}
