/* The points of keyframes in a view: the nearest on every pixel, and the nearest within reach of every pixel. */

#include "kernel.h"

#define SPARSE 1.4142f   /* points this many pixels apart, at any angle, have one within 1 pixel of every pixel */
#define MOST_PARTS 16.0f /* into which a point is divided along each side */

static inline void put(View *view, float x, float y, float inverse, int64_t number) {
    if (!inside(x, y, view->width, view->height)) return;
    const int64_t key = key_of(inverse, number);
    int64_t *at = view->keys + (int64_t)((int32_t)(y + 0.5f) + REACH) * view->stride + (int32_t)(x + 0.5f) + REACH;
    if (key > *at) *at = key;
}

/* Put the parts of a point that is further from its neighbours than REACH allows, all in its own plane. */
static void divide(View *view, const Link *link, const float n[3], const float whole[3], float inverse,
                   int64_t number) {
    float along_u[3], along_v[3];
    for (int i = 0; i < 3; i++) {
        along_u[i] = link->turn[3 * i] + link->shift[i] * n[0];
        along_v[i] = link->turn[3 * i + 1] + link->shift[i] * n[1];
    }
    if (fabsf(along_u[2]) + fabsf(along_v[2]) > whole[2]) return; /* reaches to the plane of the camera */
    const float scale = 1.0f / whole[2], x = whole[0] * scale, y = whole[1] * scale;
    const float ux = fabsf(along_u[0] - x * along_u[2]) * scale, uy = fabsf(along_u[1] - y * along_u[2]) * scale;
    const float vx = fabsf(along_v[0] - x * along_v[2]) * scale, vy = fabsf(along_v[1] - y * along_v[2]) * scale;
    const float left = 0.5f * (ux + vx), above = 0.5f * (uy + vy);
    if (x + left < -0.5f || x - left > (float)view->width - 0.5f) return;
    if (y + above < -0.5f || y - above > (float)view->height - 0.5f) return;
    const int columns = (int)fminf(fmaxf(ceilf(fmaxf(ux, uy) / REACH), 1.0f), MOST_PARTS);
    const int rows = (int)fminf(fmaxf(ceilf(fmaxf(vx, vy) / REACH), 1.0f), MOST_PARTS);
    for (int row = 0; row < rows; row++) {
        const float dv = ((float)row + 0.5f) / (float)rows - 0.5f;
        for (int column = 0; column < columns; column++) {
            const float du = ((float)column + 0.5f) / (float)columns - 0.5f;
            const float ratio = whole[2] + du * along_u[2] + dv * along_v[2];
            const float part = inverse + du * n[0] + dv * n[1];
            if (ratio <= NEAR_RATIO || part < 0.0f) continue;
            put(view, (whole[0] + du * along_u[0] + dv * along_v[0]) / ratio,
                (whole[1] + du * along_u[1] + dv * along_v[1]) / ratio, part / ratio, number);
        }
    }
}

void project(View *view, int32_t slot, const Camera *camera) {
    const Keyframe *keyframe = view->keyframes + slot;
    const Link *link = view->into_view + slot, *back = view->from_view + slot;
    const float zoom = (float)(0.5 * (camera->fx / keyframe->camera.fx + camera->fy / keyframe->camera.fy));
    for (int64_t i = 0; i < keyframe->leader_count; i++) {
        const int32_t place = keyframe->leaders[i], u = place & PLACE_MASK, v = place >> PLACE_BITS;
        const float inverse = keyframe->surface[3 * index_of(keyframe, u, v)];
        const int64_t number = ((int64_t)slot << 2 * PLACE_BITS) | place;
        float at[3], n[3];
        move(link, (float)u, (float)v, inverse, at);
        if (at[2] <= NEAR_RATIO) continue;
        plane_of(keyframe, u, v, n);
        /* Pixels between neighbours: the zoom, and more along a slope that is now seen more from the front. */
        const float scale = 1.0f / at[2], apart = zoom * scale * fmaxf(1.0f, fabsf(side_of(back, n)) * scale);
        if (apart > SPARSE) {
            view->reach = REACH;
            if (apart > SPARSE * REACH) divide(view, link, n, at, inverse, number);
        }
        put(view, at[0] * scale, at[1] * scale, inverse * scale, number);
    }
}

/* The nearest point within reach of every pixel. */
void spread(View *view) {
    const int32_t stride = view->stride, rows = view->height + 2 * REACH, reach = view->reach;
    for (int32_t y = 0; y < rows; y++) {
        const int64_t *from = view->keys + (int64_t)y * stride;
        int64_t *to = view->across + (int64_t)y * stride;
        for (int32_t x = REACH; x < stride - REACH; x++) {
            int64_t best = from[x];
            for (int32_t d = 1; d <= reach; d++) {
                if (from[x - d] > best) best = from[x - d];
                if (from[x + d] > best) best = from[x + d];
            }
            to[x] = best;
        }
    }
    for (int32_t y = REACH; y < rows - REACH; y++) {
        int64_t *to = view->front + (int64_t)y * stride;
        for (int32_t x = REACH; x < stride - REACH; x++) {
            int64_t best = view->across[(int64_t)y * stride + x];
            for (int32_t d = 1; d <= reach; d++) {
                const int64_t above = view->across[(int64_t)(y - d) * stride + x];
                const int64_t below = view->across[(int64_t)(y + d) * stride + x];
                if (above > best) best = above;
                if (below > best) best = below;
            }
            to[x] = best;
        }
    }
}

/* Further proposals for a pixel: the farthest point within reach, then of every keyframe that has any the closest.
 * Returns how many. */
int others(const View *view, int64_t at, int64_t found[MOST_OTHERS]) {
    int32_t away[MOST_OTHERS] = {0};
    int count = 1;
    found[0] = NOTHING;
    for (int32_t dy = -view->reach; dy <= view->reach; dy++)
        for (int32_t dx = -view->reach; dx <= view->reach; dx++) {
            const int64_t key = view->keys[at + (int64_t)dy * view->stride + dx];
            if (key == NOTHING) continue;
            if (found[0] == NOTHING || key < found[0]) found[0] = key;
            int k = 1;
            while (k < count && slot_of(found[k]) != slot_of(key)) k++;
            if (k == MOST_OTHERS || (k < count && away[k] <= dx * dx + dy * dy)) continue;
            found[k] = key;
            away[k] = dx * dx + dy * dy;
            if (k == count) count++;
        }
    return count;
}
