/* The kernel of the scene memory. `scene_memory_kernel.py` calls scene_memory_render and scene_memory_compare through
 * ctypes, and mirrors the structures Camera and Keyframe.
 *
 * Inverse depth is an affine function of the pixel on every plane of the world, and zero at infinity. So each pixel of
 * a keyframe is a small plane (inverse depth and its change from pixel to pixel), and moving pixels from one camera to
 * another is linear in (u, v, 1, inverse depth): without translation it is a homography, whatever the depth. */

#ifndef SCENE_MEMORY_KERNEL_H
#define SCENE_MEMORY_KERNEL_H

#include <math.h>
#include <stdint.h>

#define NEAR_RATIO 1e-3f /* smallest ratio of new to old depth: less is behind the camera, or all but in it */
#define REACH 2          /* pixels of the view within which a point stands in for its surface */
#define PLACE_BITS 12    /* a pixel's place is v << PLACE_BITS | u, and a point is slot << 2 * PLACE_BITS | place */
#define PLACE_MASK ((1 << PLACE_BITS) - 1)
#define AXIS (1 << (2 * PLACE_BITS))
#define MOST_OTHERS 6
#define NOTHING ((int64_t)-1)

/* Pinhole of a view: intrinsics in pixels, R_world_camera row by row, its place in metres. */
typedef struct {
    double fx, fy, cx, cy, rotation[9], centre[3];
    int32_t width, height;
} Camera;

/* See Keyframe in scene_memory_keyframe.py; arrays over its pixels, row by row. */
typedef struct {
    Camera camera;
    const uint8_t *colour;   /* RGB and weight */
    const float *surface;    /* inverse depth and its change along u and v */
    const uint8_t *leading;
    const int32_t *leaders, *edges; /* places (see PLACE_BITS); of edges to the right, those below have AXIS set */
    int64_t leader_count, edge_count;
} Keyframe;

/* Pixels of one camera in another: (x, y, 1) * ratio = turn (u, v, 1) + shift * inverse_depth. */
typedef struct {
    float turn[9], shift[3];
} Link;

typedef struct {
    int32_t slot, pixel_u, pixel_v; /* slot -1: nothing */
    float u, v, inverse;            /* exact place in the keyframe, inverse depth in the view */
    float seen; /* 1 from its front, 0 from behind: it hides what is beyond it, but its colour is unknown */
} Hit;

typedef struct {
    const Keyframe *keyframes;
    const uint8_t *chosen;
    Link *into_view, *from_view;
    double unknown_depth;
    int32_t count, width, height, stride, reach;
    int64_t *keys, *across, *front; /* with a border of REACH */
    Hit *hits;
    uint8_t *seen;
} View;

#define EXPORT __attribute__((visibility("default")))
#pragma GCC visibility push(hidden) /* no library that is loaded besides may answer to these names */

/* cameras.c */
Link link_cameras(const Camera *from, const Camera *to);
double distance(const Camera *one, const Camera *other);

/* points.c */
void project(View *view, int32_t slot, const Camera *camera);
void spread(View *view);
int others(const View *view, int64_t at, int64_t found[MOST_OTHERS]);

/* surfaces.c */
void find(View *view);

/* gaps.c */
void doubt_behind(View *view, int32_t slot, const Camera *camera);
void close_gaps(View *view);

/* colours.c */
void paint(const View *view, const Camera *camera, uint8_t *frame, float *visibility, float *depth);

#pragma GCC visibility pop

static inline void move(const Link *link, float u, float v, float inverse, float out[3]) {
    for (int i = 0; i < 3; i++)
        out[i] = link->turn[3 * i] * u + link->turn[3 * i + 1] * v + link->turn[3 * i + 2] + link->shift[i] * inverse;
}

static inline int64_t index_of(const Keyframe *keyframe, int32_t u, int32_t v) {
    return (int64_t)v * keyframe->camera.width + u;
}

/* The plane of a keyframe's pixel as n, with inverse depth = n . (u, v, 1). */
static inline void plane_of(const Keyframe *keyframe, int32_t u, int32_t v, float n[3]) {
    const float *surface = keyframe->surface + 3 * index_of(keyframe, u, v);
    n[0] = surface[1];
    n[1] = surface[2];
    n[2] = surface[0] - n[0] * (float)u - n[1] * (float)v;
}

/* Above zero where the other camera, from which `back` leads into the keyframe, sees the front of a plane. */
static inline float side_of(const Link *back, const float n[3]) {
    return 1.0f - (n[0] * back->shift[0] + n[1] * back->shift[1] + n[2] * back->shift[2]);
}

static inline int inside(float x, float y, int32_t width, int32_t height) {
    return x > -0.5f && x < (float)width - 0.5f && y > -0.5f && y < (float)height - 0.5f;
}

/* Of two keys the larger is the nearer: so are the bits of two positive floats. */
static inline int64_t key_of(float inverse, int64_t number) {
    union { float value; int32_t bits; } as = {inverse};
    return ((int64_t)as.bits << 32) | number;
}

static inline float inverse_of(int64_t key) {
    union { int32_t bits; float value; } as = {(int32_t)(key >> 32)};
    return as.value;
}

static inline int32_t slot_of(int64_t key) {
    return (int32_t)((key & 0xffffffff) >> (2 * PLACE_BITS));
}

static inline int32_t clamp(float value, int32_t size) {
    return value < 0.0f ? 0 : value > (float)(size - 1) ? size - 1 : (int32_t)(value + 0.5f);
}

/* Where a ray of the view, as seen by a keyframe (`move` of its pixel without depth), meets the plane of one of the
 * keyframe's pixels. Returns whether that is before both cameras. */
static inline int meet(const View *view, int32_t slot, int32_t u, int32_t v, const float ray[3], Hit *hit) {
    const Link *back = view->from_view + slot;
    float n[3];
    plane_of(view->keyframes + slot, u, v, n);
    const float side = side_of(back, n);
    hit->inverse = (n[0] * ray[0] + n[1] * ray[1] + n[2] * ray[2]) / side;
    const float ratio = ray[2] + back->shift[2] * hit->inverse;
    if (!(ratio > NEAR_RATIO) || !(hit->inverse >= 0.0f)) return 0;
    const float scale = 1.0f / ratio;
    hit->u = (ray[0] + back->shift[0] * hit->inverse) * scale;
    hit->v = (ray[1] + back->shift[1] * hit->inverse) * scale;
    hit->slot = slot;
    hit->pixel_u = u;
    hit->pixel_v = v;
    hit->seen = side > 0.0f ? 1.0f : 0.0f;
    return 1;
}

#endif
