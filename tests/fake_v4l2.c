/* LD_PRELOAD shim: presents one V4L2 camera to the real capture code of FFmpeg and OpenCV.
 *
 * FAKE_V4L2_DEVICE  the device, /dev/video0 (no file is there; listings of /dev show it)
 * FAKE_V4L2_FOLDER  holds `modes`, one line a mode: FORMAT WIDTH HEIGHT FPS FILE
 *                   FILE holds pictures, played in a circle: each 4 bytes of length, then its data.
 * In the folder, a file of this name has an effect as soon as it is there:
 *   unplug     calls fail with ENODEV, opening with ENOENT
 *   silent     no picture comes
 *   forbidden  opening fails with EACCES
 *   planes     the camera is of the kind with several planes
 *   lock       made by the shim: who streams holds it, everybody else gets EBUSY
 *
 * It may be opened several times, as a real one; only one may stream. Everything is in one process
 * but for the lock. Not a real camera: only what FFmpeg and OpenCV ask for is here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <linux/videodev2.h>

#define MOST_FILES 16
#define MOST_MODES 16
#define MOST_BUFFERS 32

typedef struct { char format[5]; unsigned width, height, fps; char file[256]; } Mode;

static Mode modes[MOST_MODES];
static int mode_count;
static Mode *mode = modes;
static int files[MOST_FILES];            /* open descriptors of the device; 0 is a free place */
static int owner = -1, lock_fd = -1;     /* who streams, and the lock that it holds */
static int memory_fd = -1, buffer_count, streaming;
static uint8_t *memory, *pictures;
static size_t pictures_size, picture_at, stride;
static int queue[MOST_BUFFERS];
static unsigned queue_head, queue_tail, sequence;
static DIR *listed;                      /* a listing of the device's folder that still lacks it */

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static int (*real_ioctl)(int, unsigned long, ...);
static void *(*real_mmap)(void *, size_t, int, int, int, off_t);
static DIR *(*real_opendir)(const char *);
static struct dirent64 *(*real_readdir)(DIR *);

static const char *device(void) {
    const char *name = getenv("FAKE_V4L2_DEVICE");
    return name ? name : "/dev/video0";
}

static const char *in_folder(const char *name) {
    static __thread char path[512];
    const char *folder = getenv("FAKE_V4L2_FOLDER");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : ".", name);
    return path;
}

static int is_there(const char *name) { return access(in_folder(name), F_OK) == 0; }

__attribute__((constructor)) static void begin(void) {
    real_open = dlsym(RTLD_NEXT, "open");
    real_close = dlsym(RTLD_NEXT, "close");
    real_ioctl = dlsym(RTLD_NEXT, "ioctl");
    real_mmap = dlsym(RTLD_NEXT, "mmap");
    real_opendir = dlsym(RTLD_NEXT, "opendir");
    real_readdir = dlsym(RTLD_NEXT, "readdir64");
    FILE *list = fopen(in_folder("modes"), "r");
    if (!list) return;
    while (mode_count < MOST_MODES) {
        Mode *one = &modes[mode_count];
        if (fscanf(list, "%4s %u %u %u %255s", one->format, &one->width, &one->height, &one->fps,
                   one->file) != 5) break;
        mode_count++;
    }
    fclose(list);
}

static uint32_t code_of(const Mode *one) {
    const char *f = one->format;
    return v4l2_fourcc(f[0], f[1], f[2], f[3]);
}

static size_t largest(void) { return (size_t)mode->width * mode->height * 3; }

static int fail(int number) { errno = number; return -1; }

static int place_of(int fd) {
    for (int i = 0; fd > 0 && i < MOST_FILES; i++) if (files[i] == fd) return i;
    return -1;
}

/* ---- opening, closing, listing ---- */

static int open_device(int flags) {
    if (is_there("unplug")) return fail(ENOENT);
    if (is_there("forbidden")) return fail(EACCES);
    for (int i = 0; i < MOST_FILES; i++) {
        if (files[i]) continue;
        int kind = TFD_CLOEXEC | (flags & O_NONBLOCK ? TFD_NONBLOCK : 0);
        return files[i] = timerfd_create(CLOCK_MONOTONIC, kind);  /* so that poll works */
    }
    return fail(EMFILE);
}

static void forget_buffers(void) {
    if (memory) munmap(memory, stride * buffer_count);
    if (memory_fd >= 0) real_close(memory_fd);
    memory = NULL, memory_fd = -1, buffer_count = 0;
    queue_head = queue_tail = 0;
}

static void stop_streaming(void) {
    forget_buffers();
    if (lock_fd >= 0) real_close(lock_fd);
    lock_fd = owner = -1;
    streaming = 0;
}

static int opened(const char *path, int flags, mode_t permissions) {
    if (!real_open) begin();
    return strcmp(path, device()) ? real_open(path, flags, permissions) : open_device(flags);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t permissions = va_arg(rest, mode_t);
    va_end(rest);
    return opened(path, flags, permissions);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t permissions = va_arg(rest, mode_t);
    va_end(rest);
    return opened(path, flags | O_LARGEFILE, permissions);
}

int __open_2(const char *path, int flags) { return opened(path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(path, flags | O_LARGEFILE, 0); }

int close(int fd) {
    if (!real_close) begin();
    int place = place_of(fd);
    if (place >= 0) {
        files[place] = 0;
        if (fd == owner) stop_streaming();
    }
    return real_close(fd);
}

DIR *opendir(const char *path) {
    if (!real_opendir) begin();
    DIR *folder = real_opendir(path);
    size_t length = strrchr(device(), '/') - device();
    if (folder && strlen(path) >= length && !strncmp(path, device(), length)
        && !path[length + (path[length] == '/')] && !is_there("unplug")) listed = folder;
    return folder;
}

static struct dirent64 *next_entry(DIR *folder) {
    static struct dirent64 extra;
    if (!real_readdir) begin();
    struct dirent64 *entry = real_readdir(folder);
    if (entry || folder != listed) return entry;
    listed = NULL;
    extra.d_ino = 1, extra.d_type = DT_CHR, extra.d_reclen = sizeof extra;
    strcpy(extra.d_name, strrchr(device(), '/') + 1);
    return &extra;
}

struct dirent64 *readdir64(DIR *folder) { return next_entry(folder); }
/* The same struct on 64-bit systems. */
struct dirent *readdir(DIR *folder) { return (struct dirent *)next_entry(folder); }

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    if (!real_mmap) begin();
    return real_mmap(at, length, protection, flags, place_of(fd) < 0 ? fd : memory_fd, offset);
}

void *mmap64(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    return mmap(at, length, protection, flags, fd, offset);
}

/* ---- what the camera offers ---- */

static int capability(struct v4l2_capability *answer) {
    memset(answer, 0, sizeof *answer);
    strcpy((char *)answer->driver, "fake");
    strcpy((char *)answer->card, "Fake UVC camera");
    strcpy((char *)answer->bus_info, "usb-fake-1");
    answer->device_caps = V4L2_CAP_STREAMING
        | (is_there("planes") ? V4L2_CAP_VIDEO_CAPTURE_MPLANE : V4L2_CAP_VIDEO_CAPTURE);
    answer->capabilities = answer->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

/* The modes of a format, each format once; NULL behind the last. */
static Mode *nth_format(unsigned n) {
    for (Mode *one = modes; one < modes + mode_count; one++) {
        Mode *before = modes;
        while (before < one && strcmp(before->format, one->format)) before++;
        if (before == one && n-- == 0) return one;
    }
    return NULL;
}

static Mode *nth_of(uint32_t code, unsigned width, unsigned height, unsigned n) {
    for (Mode *one = modes; one < modes + mode_count; one++) {
        if (code_of(one) != code) continue;
        if (width && (one->width != width || one->height != height)) continue;
        if (n-- == 0) return one;
    }
    return NULL;
}

static int formats(struct v4l2_fmtdesc *asked) {
    Mode *one = nth_format(asked->index);
    if (!one) return fail(EINVAL);
    asked->pixelformat = code_of(one);
    asked->flags = strcmp(one->format, "MJPG") ? 0 : V4L2_FMT_FLAG_COMPRESSED;
    strcpy((char *)asked->description, one->format);
    return 0;
}

static int sizes(struct v4l2_frmsizeenum *asked) {
    Mode *one = nth_of(asked->pixel_format, 0, 0, asked->index);
    if (!one) return fail(EINVAL);
    asked->type = V4L2_FRMSIZE_TYPE_DISCRETE;
    asked->discrete.width = one->width, asked->discrete.height = one->height;
    return 0;
}

static int rates(struct v4l2_frmivalenum *asked) {
    Mode *one = nth_of(asked->pixel_format, asked->width, asked->height, asked->index);
    if (!one) return fail(EINVAL);
    asked->type = V4L2_FRMIVAL_TYPE_DISCRETE;
    asked->discrete.numerator = 1, asked->discrete.denominator = one->fps;
    return 0;
}

/* ---- the mode that is set ---- */

static void describe(struct v4l2_format *answer) {
    unsigned line = !strcmp(mode->format, "YUYV") ? mode->width * 2
        : !strcmp(mode->format, "NV21") ? mode->width : 0;
    memset(&answer->fmt, 0, sizeof answer->fmt);
    if (is_there("planes")) {
        struct v4l2_pix_format_mplane *pixels = &answer->fmt.pix_mp;
        pixels->width = mode->width, pixels->height = mode->height;
        pixels->pixelformat = code_of(mode), pixels->field = V4L2_FIELD_NONE;
        pixels->colorspace = V4L2_COLORSPACE_SRGB, pixels->num_planes = 1;
        pixels->plane_fmt[0].sizeimage = largest(), pixels->plane_fmt[0].bytesperline = line;
        return;
    }
    struct v4l2_pix_format *pixels = &answer->fmt.pix;
    pixels->width = mode->width, pixels->height = mode->height;
    pixels->pixelformat = code_of(mode), pixels->field = V4L2_FIELD_NONE;
    pixels->bytesperline = line, pixels->sizeimage = largest();
    pixels->colorspace = V4L2_COLORSPACE_SRGB;
}

/* As drivers do: the format asked for if there is one, then the nearest size. */
static int set_format(struct v4l2_format *asked, int keep) {
    int planes = is_there("planes");
    uint32_t code = planes ? asked->fmt.pix_mp.pixelformat : asked->fmt.pix.pixelformat;
    long width = planes ? asked->fmt.pix_mp.width : asked->fmt.pix.width;
    Mode *before = mode, *best = NULL;
    for (Mode *one = modes; one < modes + mode_count; one++)
        if (code_of(one) == code
            && (!best || labs(one->width - width) < labs(best->width - width))) best = one;
    mode = best ? best : modes;
    describe(asked);
    if (!keep) mode = before;
    return 0;
}

static int parameters(struct v4l2_streamparm *answer) {
    memset(&answer->parm, 0, sizeof answer->parm);
    answer->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
    answer->parm.capture.timeperframe.numerator = 1;
    answer->parm.capture.timeperframe.denominator = mode->fps;
    return 0;
}

/* ---- buffers ---- */

static int read_pictures(void) {
    struct stat facts;
    int fd = real_open(in_folder(mode->file), O_RDONLY);
    if (fd < 0) return -1;
    fstat(fd, &facts);
    if (pictures) munmap(pictures, pictures_size);
    pictures_size = facts.st_size, picture_at = 0;
    pictures = real_mmap(NULL, pictures_size, PROT_READ, MAP_PRIVATE, fd, 0);
    return real_close(fd);
}

static int take_lock(int fd) {
    if (owner >= 0) return owner == fd ? 0 : fail(EBUSY);
    lock_fd = real_open(in_folder("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (flock(lock_fd, LOCK_EX | LOCK_NB)) {
        real_close(lock_fd);
        lock_fd = -1;
        return fail(EBUSY);
    }
    owner = fd;
    return 0;
}

static int request(int fd, struct v4l2_requestbuffers *asked) {
    if (asked->memory != V4L2_MEMORY_MMAP) return fail(EINVAL);
    if (take_lock(fd) || read_pictures()) return -1;
    forget_buffers();
    stride = (largest() + 4095) & ~(size_t)4095;
    buffer_count = asked->count = asked->count > MOST_BUFFERS ? MOST_BUFFERS : asked->count;
    if (!buffer_count) return 0;
    memory_fd = memfd_create("fake_v4l2", MFD_CLOEXEC);
    if (ftruncate(memory_fd, stride * buffer_count)) return -1;
    memory = real_mmap(NULL, stride * buffer_count, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
    return 0;
}

static void fill_in(struct v4l2_buffer *answer, unsigned index, unsigned used) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    answer->index = index, answer->field = V4L2_FIELD_NONE, answer->sequence = sequence;
    answer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    answer->timestamp.tv_sec = now.tv_sec, answer->timestamp.tv_usec = now.tv_nsec / 1000;
    if (V4L2_TYPE_IS_MULTIPLANAR(answer->type)) {
        answer->length = 1;
        answer->m.planes[0].length = largest(), answer->m.planes[0].bytesused = used;
        answer->m.planes[0].m.mem_offset = index * stride, answer->m.planes[0].data_offset = 0;
    } else {
        answer->length = largest(), answer->bytesused = used, answer->m.offset = index * stride;
    }
}

static int query(struct v4l2_buffer *asked) {
    if (asked->index >= (unsigned)buffer_count) return fail(EINVAL);
    fill_in(asked, asked->index, 0);
    return 0;
}

static int put(struct v4l2_buffer *asked) {
    if (asked->index >= (unsigned)buffer_count) return fail(EINVAL);
    queue[queue_tail++ % MOST_BUFFERS] = asked->index;
    return 0;
}

static int take(int fd, struct v4l2_buffer *answer) {
    uint64_t ticks;
    if (!streaming) return fail(EINVAL);
    if (read(fd, &ticks, sizeof ticks) < 0) return -1;
    if (is_there("unplug")) return fail(ENODEV);
    if (is_there("silent") || queue_head == queue_tail) return fail(EAGAIN);
    uint32_t size;
    if (picture_at >= pictures_size) picture_at = 0;
    memcpy(&size, pictures + picture_at, sizeof size);
    unsigned index = queue[queue_head++ % MOST_BUFFERS];
    memcpy(memory + index * stride, pictures + picture_at + sizeof size, size);
    picture_at += sizeof size + size;
    sequence += ticks;
    fill_in(answer, index, size);
    return 0;
}

static int stream(int fd, int on) {
    struct itimerspec timer = {0};
    if (on && owner != fd) return fail(EINVAL);
    if (on) {
        timer.it_interval.tv_nsec = 1000000000L / mode->fps;
        timer.it_value = timer.it_interval;
    } else if (owner == fd) {
        queue_head = queue_tail = 0;
    }
    streaming = on;
    return timerfd_settime(fd, 0, &timer, NULL);
}

static int inputs(struct v4l2_input *asked) {
    if (asked->index) return fail(EINVAL);
    memset(asked, 0, sizeof *asked);
    strcpy((char *)asked->name, "Camera 1");
    asked->type = V4L2_INPUT_TYPE_CAMERA;
    return 0;
}

int ioctl(int fd, unsigned long request_code, ...) {
    va_list rest;
    va_start(rest, request_code);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (!real_ioctl) begin();
    if (place_of(fd) < 0) return real_ioctl(fd, request_code, argument);
    if (is_there("unplug")) return fail(ENODEV);
    uint32_t wanted = is_there("planes") ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE
                                         : V4L2_BUF_TYPE_VIDEO_CAPTURE;
    uint32_t code = request_code;
    int typed = code == VIDIOC_G_FMT || code == VIDIOC_S_FMT || code == VIDIOC_TRY_FMT
        || code == VIDIOC_G_PARM || code == VIDIOC_S_PARM;
    if (typed && *(uint32_t *)argument != wanted) return fail(EINVAL);
    switch (code) {
    case VIDIOC_QUERYCAP: return capability(argument);
    case VIDIOC_ENUM_FMT: return formats(argument);
    case VIDIOC_ENUM_FRAMESIZES: return sizes(argument);
    case VIDIOC_ENUM_FRAMEINTERVALS: return rates(argument);
    case VIDIOC_ENUMINPUT: return inputs(argument);
    case VIDIOC_G_INPUT: *(int *)argument = 0; return 0;
    case VIDIOC_S_INPUT: return 0;
    case VIDIOC_G_FMT: describe(argument); return 0;
    case VIDIOC_S_FMT: return set_format(argument, 1);
    case VIDIOC_TRY_FMT: return set_format(argument, 0);
    case VIDIOC_G_PARM: case VIDIOC_S_PARM: return parameters(argument);
    case VIDIOC_REQBUFS: return request(fd, argument);
    case VIDIOC_QUERYBUF: return query(argument);
    case VIDIOC_QBUF: return put(argument);
    case VIDIOC_DQBUF: return take(fd, argument);
    case VIDIOC_STREAMON: return stream(fd, 1);
    case VIDIOC_STREAMOFF: return stream(fd, 0);
    default: return fail(ENOTTY);
    }
}
