/* Compares two keyframes. */

#include "kernel.h"

/* What a new keyframe shows of an older one's pixels, into verdicts (one a pixel): 0 nothing, 1 the same surface,
 * 2 seen through, 3 seen through beyond doubt. tolerance: of depth, as a share of it. */
EXPORT void scene_memory_compare(const Keyframe *old, const Keyframe *new, float tolerance, double unknown_depth,
                          uint8_t *verdicts) {
    const Link link = link_cameras(&old->camera, &new->camera), back = link_cameras(&new->camera, &old->camera);
    const int32_t wide = new->camera.width, high = new->camera.height;
    const float half = (float)(0.75 * new->camera.fx / old->camera.fx); /* half a pixel's diagonal, more for slopes */
    const int still = distance(&old->camera, &new->camera) * new->camera.fx <= unknown_depth;
    for (int32_t v = 0; v < old->camera.height; v++)
        for (int32_t u = 0; u < old->camera.width; u++, verdicts++) {
            const int64_t pixel = index_of(old, u, v);
            const float known = old->surface[3 * pixel];
            float at[3], n[3];
            *verdicts = 0;
            if (!old->colour[4 * pixel + 3]) continue;
            move(&link, (float)u, (float)v, known, at);
            if (at[2] <= NEAR_RATIO) continue;
            const float x = at[0] / at[2], y = at[1] / at[2], inverse = known / at[2], reach = 0.5f + half / at[2];
            if (x < -reach || y < -reach || x > (float)(wide - 1) + reach || y > (float)(high - 1) + reach) continue;
            const int32_t there_u = clamp(x, wide), there_v = clamp(y, high);
            const int64_t there = index_of(new, there_u, there_v);
            if (!new->leading[there]) continue;
            const float *surface = new->surface + 3 * there;
            if (known <= 0.0f) {
                *verdicts = (uint8_t)still;
                continue;
            }
            if (surface[0] <= 0.0f) { /* no depth, for the memory did not see this pixel there either */
                *verdicts = 1;
                continue;
            }
            const float here = surface[0] + surface[1] * (x - (float)there_u) + surface[2] * (y - (float)there_v);
            if (fabsf(inverse - here) <= tolerance * here) {
                plane_of(old, u, v, n);
                *verdicts = side_of(&back, n) > 0.0f || inverse >= here; /* else: the other side of something thin */
            } else if (inverse > here && inside(x, y, wide, high)) {
                *verdicts = inverse > here * (1.0f + 2.0f * tolerance) ? 3 : 2;
            }
        }
}
