/* Which place of which keyframe every pixel of a view sees. */

#include "kernel.h"

#define BEFORE 1.03f     /* ratio of inverse depths from which a point nearby is another surface than the pixel's own */
#define AGREE 1.0f       /* pixels of the keyframe between the point on a proposal's plane and the surface there */

enum Need { LEADING, BELIEVED };

/* Whether the proposed point's keyframe has its surface where the pixel's ray meets it. */
static int confirm(const View *view, int64_t key, float x, float y, enum Need need, Hit *hit) {
    const int32_t slot = slot_of(key);
    const Keyframe *keyframe = view->keyframes + slot;
    const int32_t width = keyframe->camera.width, height = keyframe->camera.height;
    const int32_t proposed_u = (int32_t)(key & PLACE_MASK), proposed_v = (int32_t)((key >> PLACE_BITS) & PLACE_MASK);
    float ray[3];
    move(view->from_view + slot, x, y, 0.0f, ray);
    if (!meet(view, slot, proposed_u, proposed_v, ray, hit)) return 0;
    const float u = hit->u, v = hit->v;
    if (!inside(u, v, width, height)) return 0;
    const int32_t there_u = clamp(u, width), there_v = clamp(v, height);
    const int64_t there = index_of(keyframe, there_u, there_v);
    if (!keyframe->colour[4 * there + 3] || (need == LEADING && !keyframe->leading[there])) return 0;
    if (there_u == proposed_u && there_v == proposed_v) return 1;
    if (!meet(view, slot, there_u, there_v, ray, hit)) return 0;
    return fabsf(hit->u - u) <= AGREE && fabsf(hit->v - v) <= AGREE && inside(hit->u, hit->v, width, height);
}

void find(View *view) {
    for (int32_t y = 0; y < view->height; y++)
        for (int32_t x = 0; x < view->width; x++) {
            Hit *hit = view->hits + (int64_t)y * view->width + x;
            const int64_t at = (int64_t)(y + REACH) * view->stride + x + REACH;
            const int64_t own = view->keys[at], front = view->front[at];
            const float px = (float)x, py = (float)y;
            hit->slot = -1;
            if (front == NOTHING) continue;
            const int before = own == NOTHING || inverse_of(front) > inverse_of(own) * BEFORE;
            const int64_t first = before ? front : own, second = before ? own : front;
            if (confirm(view, first, px, py, LEADING, hit)) continue;
            if (second != NOTHING && second != first && confirm(view, second, px, py, LEADING, hit)) continue;
            int64_t rest[MOST_OTHERS];
            const int count = others(view, at, rest);
            int k = 0;
            while (k < count && !confirm(view, rest[k], px, py, LEADING, hit)) k++;
            if (k < count || confirm(view, front, px, py, BELIEVED, hit)) continue;
            for (k = 0; k < count && !confirm(view, rest[k], px, py, BELIEVED, hit);) k++;
            if (k == count) hit->slot = -1;
        }
}
