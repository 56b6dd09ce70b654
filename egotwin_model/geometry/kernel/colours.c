/* Colours, visibility and depth of the places that a view sees. */

#include "kernel.h"

#include <string.h>

#define UNSEEN 128

/* The keyframe's colour and weight at a place, bilinearly; ignored pixels do not mix in. */
static void read_colour(const Keyframe *keyframe, const Hit *hit, float mixed[4]) {
    const int32_t width = keyframe->camera.width, height = keyframe->camera.height;
    const float u = fminf(fmaxf(hit->u, 0.0f), (float)(width - 1)), v = fminf(fmaxf(hit->v, 0.0f), (float)(height - 1));
    const int32_t u0 = (int32_t)u, v0 = (int32_t)v;
    const int32_t u1 = u0 < width - 1 ? u0 + 1 : u0, v1 = v0 < height - 1 ? v0 + 1 : v0;
    const uint8_t *p00 = keyframe->colour + 4 * index_of(keyframe, u0, v0);
    const uint8_t *p01 = keyframe->colour + 4 * index_of(keyframe, u1, v0);
    const uint8_t *p10 = keyframe->colour + 4 * index_of(keyframe, u0, v1);
    const uint8_t *p11 = keyframe->colour + 4 * index_of(keyframe, u1, v1);
    if (!p00[3] || !p01[3] || !p10[3] || !p11[3])
        p00 = p01 = p10 = p11 = keyframe->colour + 4 * index_of(keyframe, hit->pixel_u, hit->pixel_v);
    const float a = u - (float)u0, b = v - (float)v0;
    for (int c = 0; c < 4; c++) { /* exact where all four are alike */
        const float upper = (float)p00[c] + a * (float)(p01[c] - p00[c]);
        const float lower = (float)p10[c] + a * (float)(p11[c] - p10[c]);
        mixed[c] = upper + b * (lower - upper);
    }
}

void paint(const View *view, const Camera *camera, uint8_t *frame, float *visibility, float *depth) {
    memset(frame, UNSEEN, 3 * (size_t)view->width * (size_t)view->height);
    for (int64_t i = 0; i < (int64_t)view->width * view->height; i++) {
        const Hit *hit = view->hits + i;
        visibility[i] = depth[i] = 0.0f;
        if (hit->slot < 0) continue;
        if (hit->inverse > 0.0f) depth[i] = 1.0f / hit->inverse;
        if (hit->seen == 0.0f) continue;
        const Keyframe *keyframe = view->keyframes + hit->slot;
        float mixed[4];
        read_colour(keyframe, hit, mixed);
        float believed = mixed[3] / 255.0f * hit->seen;
        if (hit->inverse == 0.0f) { /* a direction without depth: fades as the camera moves away */
            const double pixels = distance(camera, &keyframe->camera) * camera->fx / view->unknown_depth;
            believed *= fminf(fmaxf((float)(2.0 - pixels), 0.0f), 1.0f);
            if (believed <= 0.0f) continue;
        }
        visibility[i] = fminf(believed, 1.0f);
        for (int c = 0; c < 3; c++) frame[3 * i + c] = (uint8_t)(mixed[c] + 0.5f);
    }
}
