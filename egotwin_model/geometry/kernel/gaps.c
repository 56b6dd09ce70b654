/* What a keyframe did not look into, and narrow gaps between what it saw. */

#include "kernel.h"

#define NEARBY 2.0f      /* pixels of the keyframe by which a surface may be extended to close a gap */
#define THICKNESS 1.0f   /* metres behind an edge that count as not looked into */
#define SHORT 0.75f      /* pixels of the view that such space must cover to matter */
#define BEHIND 1.05f     /* ratio of inverse depths from which a surface is beyond such space */
#define MOST_PARTS 16.0f /* into which a point is divided along each side */
#define GAP 0.5f         /* visibility of a closed gap */
#define GAP_WIDTH 2      /* pixels of the view */
#define DOUBT 0.25f      /* visibility beyond space that was not looked into */

/* Keep of a line from `start`, `step` long, the part between -0.5 and `end`: from share `first` to `last` of it. */
static void clip(float start, float step, float end, float *first, float *last) {
    if (step == 0.0f) {
        if (start <= -0.5f || start >= end) *last = -1.0f;
        return;
    }
    const float one = (-0.5f - start) / step, other = (end - start) / step;
    *first = fmaxf(*first, fminf(one, other));
    *last = fminf(*last, fmaxf(one, other));
}

/* Doubt what a keyframe saw, where it is now seen through the space behind one of that keyframe's edges: a strip from
 * the edge away from its camera. */
void doubt_behind(View *view, int32_t slot, const Camera *camera) {
    const Keyframe *keyframe = view->keyframes + slot;
    const Link *link = view->into_view + slot;
    const float zoom = (float)(0.5 * (camera->fx / keyframe->camera.fx + camera->fy / keyframe->camera.fy));
    for (int64_t i = 0; i < keyframe->edge_count; i++) {
        const int32_t place = keyframe->edges[i] & (AXIS - 1), u = place & PLACE_MASK, v = place >> PLACE_BITS;
        const int32_t down = keyframe->edges[i] >= AXIS;
        const int64_t one = index_of(keyframe, u, v), other = down ? one + keyframe->camera.width : one + 1;
        const float a = keyframe->surface[3 * one], b = keyframe->surface[3 * other];
        if (!keyframe->colour[4 * (a > b ? one : other) + 3]) continue; /* what made the edge is gone */
        const float near = fmaxf(a, b), end = fmaxf(fminf(a, b), 1.0f / (1.0f / near + THICKNESS));
        float from[3], to[3];
        move(link, (float)u, (float)v, near, from);
        if (from[2] <= NEAR_RATIO) continue;
        const int strips = (int)fminf(ceilf(zoom / from[2]), MOST_PARTS);
        for (int strip = 0; strip < strips; strip++) {
            const float along = ((float)strip + 0.5f) / (float)strips - 0.5f;
            const float edge_u = (float)u + (down ? along : 0.5f), edge_v = (float)v + (down ? 0.5f : along);
            move(link, edge_u, edge_v, near, from);
            move(link, edge_u, edge_v, end, to);
            if (from[2] <= NEAR_RATIO || to[2] <= NEAR_RATIO) continue;
            const float x = from[0] / from[2], y = from[1] / from[2], inverse = near / from[2];
            const float step_x = to[0] / to[2] - x, step_y = to[1] / to[2] - y, step = end / to[2] - inverse;
            float first = 0.0f, last = 1.0f; /* the part of the strip inside the view */
            clip(x, step_x, (float)view->width - 0.5f, &first, &last);
            clip(y, step_y, (float)view->height - 0.5f, &first, &last);
            const float length = (last - first) * fmaxf(fabsf(step_x), fabsf(step_y));
            if (!(length > SHORT)) continue;
            const int steps = (int)ceilf(1.5f * length);
            for (int k = 0; k < steps; k++) {
                const float share = first + (last - first) * ((float)k + 0.5f) / (float)steps;
                const int32_t at_x = clamp(x + share * step_x, view->width);
                const int32_t at_y = clamp(y + share * step_y, view->height);
                Hit *hit = view->hits + (int64_t)at_y * view->width + at_x;
                if (hit->slot == slot && inverse + share * step > hit->inverse * BEHIND)
                    hit->seen = fminf(hit->seen, DOUBT);
            }
        }
    }
}

static int seen_within(const View *view, int32_t x, int32_t y, int32_t dx, int32_t dy) {
    for (int32_t step = 1; step <= GAP_WIDTH; step++) {
        const int32_t i = x + step * dx, j = y + step * dy;
        if (i < 0 || j < 0 || i >= view->width || j >= view->height) return 0;
        if (view->seen[(int64_t)j * view->width + i]) return 1;
    }
    return 0;
}

/* Whether there are seen pixels close by on two opposite sides of a pixel. */
static int between(const View *view, int32_t x, int32_t y) {
    return (seen_within(view, x, y, -1, 0) && seen_within(view, x, y, 1, 0)) ||
           (seen_within(view, x, y, 0, -1) && seen_within(view, x, y, 0, 1));
}

/* Extend a proposed point's pixel to a pixel of the view, where it is close. */
static int extend(const View *view, int64_t key, int32_t x, int32_t y, Hit *hit) {
    const int32_t u = (int32_t)(key & PLACE_MASK), v = (int32_t)((key >> PLACE_BITS) & PLACE_MASK);
    float ray[3];
    move(view->from_view + slot_of(key), (float)x, (float)y, 0.0f, ray);
    if (!meet(view, slot_of(key), u, v, ray, hit) || hit->seen == 0.0f) return 0;
    if (fabsf(hit->u - (float)u) > NEARBY || fabsf(hit->v - (float)v) > NEARBY) return 0;
    hit->u = fminf(fmaxf(hit->u, (float)u - 0.5f), (float)u + 0.5f);
    hit->v = fminf(fmaxf(hit->v, (float)v - 0.5f), (float)v + 0.5f);
    hit->seen = GAP;
    return 1;
}

/* Close narrow gaps, where nothing is seen or what is seen is doubtful. */
void close_gaps(View *view) {
    for (int64_t i = 0; i < (int64_t)view->width * view->height; i++)
        view->seen[i] = view->hits[i].slot >= 0 && view->hits[i].seen > GAP;
    for (int32_t y = 0; y < view->height; y++)
        for (int32_t x = 0; x < view->width; x++) {
            const int64_t pixel = (int64_t)y * view->width + x;
            const int64_t at = (int64_t)(y + REACH) * view->stride + x + REACH;
            if (view->seen[pixel] || view->front[at] == NOTHING || !between(view, x, y)) continue;
            int64_t rest[MOST_OTHERS];
            Hit hit;
            int done = extend(view, view->front[at], x, y, &hit);
            const int count = done ? 0 : others(view, at, rest);
            for (int k = 1; k < count && !done; k++) done = extend(view, rest[k], x, y, &hit);
            if (done) view->hits[pixel] = hit;
        }
}
