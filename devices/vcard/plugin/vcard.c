/* A virtual sound card: an ALSA plugin that consumes frames at the
 * pace of the monotonic clock, or of one that a test moves, writes what it
 * consumed and when to files, and obeys a control file. It has no thread: each
 * call computes what has sounded by now from when the run of sound began. */
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <alsa/control_external.h>
#include <fcntl.h>
#include <math.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define RATE 48000

struct card {
	snd_pcm_ioplug_t io;
	int out, log, lock, timer;
	int clock;            /* the file of a test's clock; -1: the machine's */
	long creep;           /* how far each reading of a test's clock moves it, in ns */
	int resumes;          /* failed attempts to resume it */
	char *control;
	double ns;            /* duration of one frame by this card's own clock */
	short *ring;          /* frames queued, by their number in the run */
	snd_pcm_uframes_t size;
	long long written;    /* frames of this run queued so far */
	long long done;       /* frames of this run consumed so far */
	long long start;      /* when frame 0 of this run sounded; 0: not running */
	long long stalled;    /* when it was stalled; 0: it is not */
};

/* Moves a test's clock on and returns what it then shows. */
static long long pass(const struct card *c, long long ns)
{
	long long t = 0;
	if (pread(c->clock, &t, sizeof t, 0) != sizeof t)
		return 0;
	t += ns;
	if (ns && pwrite(c->clock, &t, sizeof t, 0) != sizeof t)
		return 0;
	return t;
}

static long long now(const struct card *c)
{
	struct timespec t;
	if (c->clock >= 0)
		return pass(c, c->creep);
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The first letter of the control file: u(nplugged), s(talled), b(usy),
 * h(angs as it is opened), f(ails with EIO), a(sleep: suspended). A number
 * behind "asleep" is the attempt to resume that wakes the card. */
static int told(const struct card *c)
{
	char word = 0;
	int fd = open(c->control, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, &word, 1) != 1)
		word = 0;
	close(fd);
	return word;
}

/* The error that the control file makes the card return; 0: none. */
static int ill(const struct card *c)
{
	switch (told(c)) {
	case 'u':
		return -ENODEV;
	case 'f':
		return -EIO;
	}
	return 0;
}

static void consume(struct card *c, long long upto)
{
	int width = c->io.channels;
	char line[64];
	long long at = c->start + llround(c->done * c->ns), n = upto - c->done, first;
	if (n <= 0)
		return;
	first = lseek(c->out, 0, SEEK_END) / (2 * width);
	while (c->done < upto) {
		snd_pcm_uframes_t from = c->done % c->size, part = c->size - from;
		if ((long long)part > upto - c->done)
			part = upto - c->done;
		if (write(c->out, c->ring + from * width, part * width * 2) < 0)
			return;
		c->done += part;
	}
	/* A process may be killed between the two: then a line is missing. */
	if (write(c->log, line, snprintf(line, sizeof line, "%lld %lld %lld\n", at, n, first)) < 0)
		return;
}

/* Consumes what is due. Returns -EPIPE once the ring has run empty. */
static int advance(struct card *c)
{
	int word = told(c);
	long long t = now(c), due;
	if (ill(c))
		return ill(c);
	if (!c->start)
		return 0;
	if (word == 'a' && !c->stalled) {
		snd_pcm_ioplug_set_state(&c->io, SND_PCM_STATE_SUSPENDED);
		c->stalled = t;
	}
	if (c->stalled && word != 's' && word != 'a') {
		c->start += t - c->stalled;
		c->stalled = 0;
	}
	if (c->stalled)
		return 0;
	due = (t - c->start) / c->ns;
	consume(c, due < c->written ? due : c->written);
	if (word == 's')
		c->stalled = t;
	return due > c->written ? -EPIPE : 0;
}

static snd_pcm_sframes_t card_pointer(snd_pcm_ioplug_t *io)
{
	struct card *c = io->private_data;
	int err = advance(c);
	return err ? err : (snd_pcm_sframes_t)(c->done % c->size);
}

static snd_pcm_sframes_t card_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
				       snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
	struct card *c = io->private_data;
	const short *from = (const short *)((const char *)areas->addr + areas->first / 8) + offset * io->channels;
	snd_pcm_uframes_t i;
	if (ill(c))
		return ill(c);
	for (i = 0; i < size; i++, c->written++)
		memcpy(c->ring + c->written % c->size * io->channels, from + i * io->channels, io->channels * 2);
	return size;
}

/* Makes the poll descriptor ready at those instants. If the card uses a
 * test's clock it is always ready: see card_revents. */
static void tick(struct card *c, long long first, long long every)
{
	if (c->clock >= 0) {
		first = 1;
		every = 0;
	}
	struct itimerspec t = {
		{ every / 1000000000, every % 1000000000 }, { first / 1000000000, first % 1000000000 }
	};
	timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static int card_prepare(snd_pcm_ioplug_t *io)
{
	struct card *c = io->private_data;
	if (ill(c))
		return ill(c);
	c->size = io->buffer_size;
	c->ring = realloc(c->ring, c->size * io->channels * 2);
	c->written = c->done = c->start = c->stalled = 0;
	tick(c, now(c), io->period_size * c->ns); /* so that a caller that polls before the start finds room */
	return c->ring ? 0 : -ENOMEM;
}

static int card_start(snd_pcm_ioplug_t *io)
{
	struct card *c = io->private_data;
	long long period = io->period_size * c->ns;
	if (ill(c))
		return ill(c);
	c->start = now(c);
	if (told(c) == 's')
		c->stalled = c->start; /* it opens and runs, but consumes nothing */
	tick(c, c->start + period, period);
	return 0;
}

static int card_stop(snd_pcm_ioplug_t *io)
{
	struct card *c = io->private_data;
	if (told(c) == 'd')
		usleep(60000);
	advance(c);
	c->start = 0;
	tick(c, 0, 0);
	return 0;
}

/* A caller that waits for room moves a test's clock by a period: nothing else
 * would move it meanwhile. */
static int card_revents(snd_pcm_ioplug_t *io, struct pollfd *p, unsigned int n, unsigned short *revents)
{
	struct card *c = io->private_data;
	unsigned long long ticks;
	(void)n;
	*revents = 0;
	if (c->clock >= 0) {
		pass(c, llround(io->period_size * c->ns));
		*revents = POLLOUT;
		return 0;
	}
	if ((p->revents & POLLIN) && read(c->timer, &ticks, sizeof ticks) > 0)
		*revents = POLLOUT;
	return 0;
}

/* libasound does not pass on what this returns. An attempt takes a while: 10 ms
 * if the card stays suspended, 40 ms if a later attempt succeeds. */
static int card_resume(snd_pcm_ioplug_t *io)
{
	struct card *c = io->private_data;
	int wakes = 0;
	FILE *f = fopen(c->control, "re");
	if (f) {
		if (fscanf(f, "asleep %d", &wakes) < 1)
			wakes = 0;
		fclose(f);
	}
	if (wakes && ++c->resumes >= wakes) {
		c->resumes = 0;
		if (truncate(c->control, 0) < 0)
			return -EIO;
	} else if (told(c) == 'a') {
		usleep(wakes ? 40000 : 10000);
		return -EAGAIN;
	}
	snd_pcm_ioplug_set_state(io, SND_PCM_STATE_RUNNING);
	return 0;
}

static int card_close(snd_pcm_ioplug_t *io)
{
	struct card *c = io->private_data;
	card_stop(io);
	close(c->out);
	close(c->log);
	close(c->lock);
	close(c->timer);
	if (c->clock >= 0)
		close(c->clock);
	free(c->control);
	free(c->ring);
	free(c);
	return 0;
}

static const snd_pcm_ioplug_callback_t card_calls = {
	.start = card_start, .stop = card_stop, .pointer = card_pointer, .transfer = card_transfer,
	.prepare = card_prepare, .poll_revents = card_revents, .close = card_close, .resume = card_resume,
};

static int open_in(const char *dir, const char *name, int flags)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return open(path, O_RDWR | O_CLOEXEC | flags, 0644);
}

SND_PCM_PLUGIN_DEFINE_FUNC(vcard)
{
	snd_config_iterator_t i, next;
	const char *dir = NULL;
	long ppm = 0, channels = 2, creep = 0;
	unsigned int access[] = { SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED };
	unsigned int format = SND_PCM_FORMAT_S16;
	struct card *c;
	int err;
	(void)root;
	snd_config_for_each(i, next, conf) {
		snd_config_t *n = snd_config_iterator_entry(i);
		const char *id;
		if (snd_config_get_id(n, &id) < 0)
			continue;
		if (!strcmp(id, "dir"))
			snd_config_get_string(n, &dir);
		else if (!strcmp(id, "ppm"))
			snd_config_get_integer(n, &ppm);
		else if (!strcmp(id, "channels"))
			snd_config_get_integer(n, &channels);
		else if (!strcmp(id, "creep"))
			snd_config_get_integer(n, &creep);
	}
	if (!dir || stream != SND_PCM_STREAM_PLAYBACK)
		return -EINVAL;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->ns = 1e9 / RATE / (1 + ppm / 1e6);
	c->out = open_in(dir, "heard", O_CREAT | O_APPEND);
	c->log = open_in(dir, "log", O_CREAT | O_APPEND);
	c->lock = open_in(dir, "lock", O_CREAT);
	c->clock = open_in(dir, "clock", 0);
	c->creep = creep;
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (asprintf(&c->control, "%s/control", dir) < 0 || c->out < 0 || c->log < 0 || c->lock < 0)
		return -EIO;
	while (told(c) == 'h')
		usleep(20000);
	err = ill(c) ? ill(c) : told(c) == 'b' || flock(c->lock, LOCK_EX | LOCK_NB) < 0 ? -EBUSY : 0;
	c->io.version = SND_PCM_IOPLUG_VERSION;
	c->io.name = "a card that is not there";
	c->io.callback = &card_calls;
	c->io.private_data = c;
	c->io.poll_fd = c->timer;
	c->io.poll_events = POLLIN;
	if (err || (err = snd_pcm_ioplug_create(&c->io, name, stream, mode)) < 0) {
		card_close(&c->io);
		return err;
	}
	snd_pcm_ioplug_set_param_list(&c->io, SND_PCM_IOPLUG_HW_ACCESS, 2, access);
	snd_pcm_ioplug_set_param_list(&c->io, SND_PCM_IOPLUG_HW_FORMAT, 1, &format);
	snd_pcm_ioplug_set_param_minmax(&c->io, SND_PCM_IOPLUG_HW_CHANNELS, channels, channels);
	snd_pcm_ioplug_set_param_minmax(&c->io, SND_PCM_IOPLUG_HW_RATE, RATE, RATE);
	snd_pcm_ioplug_set_param_minmax(&c->io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64 * channels * 2, RATE * channels);
	snd_pcm_ioplug_set_param_minmax(&c->io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 256 * channels * 2, 2 * RATE * channels);
	snd_pcm_ioplug_set_param_minmax(&c->io, SND_PCM_IOPLUG_HW_PERIODS, 2, 1024);
	*pcmp = c->io.pcm;
	return 0;
}
SND_PCM_PLUGIN_SYMBOL(vcard);

/* The card's mixer: one volume and one switch, kept in the file "mixer" as
 * two numbers, in hundredths of a dB and 0 for mute. */
struct mixer {
	snd_ctl_ext_t ext;
	unsigned int tlv[4];
	long min, max;
	int scale;
	char names[2][64];
	char path[4096];
};

static void load(const struct mixer *m, long v[2])
{
	FILE *f = fopen(m->path, "re");
	v[0] = m->min;
	v[1] = 0;
	if (f) {
		if (fscanf(f, "%ld %ld", v, v + 1) < 1)
			v[0] = m->min;
		fclose(f);
	}
}

static int mixer_count(snd_ctl_ext_t *ext)
{
	(void)ext;
	return 2;
}

static int mixer_list(snd_ctl_ext_t *ext, unsigned int at, snd_ctl_elem_id_t *id)
{
	struct mixer *m = ext->private_data;
	snd_ctl_elem_id_set_interface(id, SND_CTL_ELEM_IFACE_MIXER);
	snd_ctl_elem_id_set_name(id, m->names[at]);
	return 0;
}

static snd_ctl_ext_key_t mixer_find(snd_ctl_ext_t *ext, const snd_ctl_elem_id_t *id)
{
	(void)ext;
	return strstr(snd_ctl_elem_id_get_name(id), "Switch") ? 1 : 0;
}

static int mixer_attribute(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, int *type, unsigned int *access, unsigned int *count)
{
	struct mixer *m = ext->private_data;
	*type = key ? SND_CTL_ELEM_TYPE_BOOLEAN : SND_CTL_ELEM_TYPE_INTEGER;
	*access = SND_CTL_EXT_ACCESS_READWRITE | (key || !m->scale ? 0 : SND_CTL_EXT_ACCESS_TLV_READ);
	*count = 1;
	return 0;
}

/* Volume is counted in steps of half a dB. */
static int mixer_info(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *min, long *max, long *step)
{
	struct mixer *m = ext->private_data;
	(void)key;
	*min = 0;
	*max = (m->max - m->min) / 50;
	*step = 1;
	return 0;
}

static int mixer_read(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
	struct mixer *m = ext->private_data;
	long v[2];
	load(m, v);
	*value = key ? v[1] : (v[0] - m->min) / 50;
	return 0;
}

static int mixer_write(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
	struct mixer *m = ext->private_data;
	FILE *f;
	long v[2];
	load(m, v);
	v[key] = key ? *value : m->min + 50 * *value;
	f = fopen(m->path, "we");
	if (!f)
		return -EIO;
	fprintf(f, "%ld %ld\n", v[0], v[1]);
	fclose(f);
	return 1;
}

static int mixer_event(snd_ctl_ext_t *ext, snd_ctl_elem_id_t *id, unsigned int *mask)
{
	(void)ext, (void)id, (void)mask;
	return -EAGAIN;
}

static void mixer_close(snd_ctl_ext_t *ext)
{
	free(ext->private_data);
}

static const snd_ctl_ext_callback_t mixer_calls = {
	.elem_count = mixer_count, .elem_list = mixer_list, .find_elem = mixer_find, .get_attribute = mixer_attribute,
	.get_integer_info = mixer_info, .read_integer = mixer_read, .write_integer = mixer_write,
	.read_event = mixer_event, .close = mixer_close,
};

SND_CTL_PLUGIN_DEFINE_FUNC(vcard)
{
	snd_config_iterator_t i, next;
	const char *dir = NULL, *control = "Master";
	long min = -5000, max = 0, scale = 1;
	struct mixer *m;
	int err;
	(void)root;
	snd_config_for_each(i, next, conf) {
		snd_config_t *n = snd_config_iterator_entry(i);
		const char *id;
		if (snd_config_get_id(n, &id) < 0)
			continue;
		if (!strcmp(id, "dir"))
			snd_config_get_string(n, &dir);
		else if (!strcmp(id, "control"))
			snd_config_get_string(n, &control);
		else if (!strcmp(id, "min"))
			snd_config_get_integer(n, &min);
		else if (!strcmp(id, "max"))
			snd_config_get_integer(n, &max);
		else if (!strcmp(id, "scale"))
			snd_config_get_integer(n, &scale);
	}
	m = calloc(1, sizeof *m);
	if (!m || !dir)
		return -EINVAL;
	m->min = min;
	m->max = max;
	m->scale = scale;
	snprintf(m->names[0], sizeof m->names[0], "%s Playback Volume", control);
	snprintf(m->names[1], sizeof m->names[1], "%s Playback Switch", control);
	snprintf(m->path, sizeof m->path, "%s/mixer", dir);
	m->tlv[0] = SND_CTL_TLVT_DB_MINMAX;
	m->tlv[1] = 8;
	m->tlv[2] = min;
	m->tlv[3] = max;
	m->ext.version = SND_CTL_EXT_VERSION;
	m->ext.poll_fd = -1;
	m->ext.callback = &mixer_calls;
	m->ext.private_data = m;
	m->ext.tlv.p = m->tlv;
	strcpy(m->ext.id, "vcard");
	strcpy(m->ext.driver, "vcard");
	strcpy(m->ext.name, "a card that is not there");
	strcpy(m->ext.longname, m->ext.name);
	strcpy(m->ext.mixername, m->ext.name);
	err = snd_ctl_ext_create(&m->ext, name, mode);
	if (err < 0) {
		free(m);
		return err;
	}
	*handlep = m->ext.handle;
	return 0;
}
SND_CTL_PLUGIN_SYMBOL(vcard);
