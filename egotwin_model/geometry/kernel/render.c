/* Renders views of keyframes.
 *
 * A view is rendered in five steps.
 * 1. Every leading pixel of every keyframe is projected, and each pixel of the view keeps the nearest. Where the camera
 *    has come so near that points fall too far apart, each is divided into several.
 * 2. The nearest point within a pixel or two is a proposal: the view's ray is intersected with that point's plane, and
 *    the intersection is looked up in its keyframe. It is accepted where the keyframe has that very surface there; else
 *    the point on the pixel itself is tried, then the farthest one nearby. So no cracks open, and edges stay sharp.
 * 3. Behind the edges of near things a keyframe did not look, so what is now seen through that space may be hidden.
 * 4. Gaps of a pixel or two between surfaces are closed by the nearer of them.
 * 5. The colour is read bilinearly from the keyframe, so resampling blurs once only.
 */

#include "kernel.h"

#include <stdlib.h>
#include <string.h>

static int allocate(View *view) {
    const size_t padded = (size_t)view->stride * (size_t)(view->height + 2 * REACH);
    const size_t size = (size_t)view->width * (size_t)view->height;
    view->into_view = malloc((size_t)(view->count + 1) * sizeof(Link));
    view->from_view = malloc((size_t)(view->count + 1) * sizeof(Link));
    view->keys = malloc(padded * sizeof(int64_t));
    view->across = malloc(padded * sizeof(int64_t));
    view->front = malloc(padded * sizeof(int64_t));
    view->hits = malloc(size * sizeof(Hit));
    view->seen = malloc(size);
    return view->into_view && view->from_view && view->keys && view->across && view->front && view->hits && view->seen;
}

static void release(View *view) {
    free(view->into_view);
    free(view->from_view);
    free(view->keys);
    free(view->across);
    free(view->front);
    free(view->hits);
    free(view->seen);
}

/* Render views of one size. chosen: (views, keyframes), which keyframes take part. unknown_depth: metres at which
 * directions of unknown depth are trusted in full while they move by at most a pixel.
 * frames: (views, H, W, 3). visibility, depth: (views, H, W). Returns 0, or 1 where memory is short. */
EXPORT int scene_memory_render(const Keyframe *keyframes, int32_t count, const Camera *cameras, int32_t views,
                        const uint8_t *chosen, double unknown_depth, uint8_t *frames, float *visibility, float *depth) {
    if (!views) return 0;
    View view = {.keyframes = keyframes, .count = count, .width = cameras->width, .height = cameras->height};
    view.stride = view.width + 2 * REACH;
    view.unknown_depth = unknown_depth;
    const int64_t size = (int64_t)view.width * view.height;
    const int ready = allocate(&view);
    for (int32_t i = 0; ready && i < views; i++) {
        view.reach = 1;
        memset(view.keys, 0xff, (size_t)view.stride * (size_t)(view.height + 2 * REACH) * sizeof(int64_t));
        for (int32_t slot = 0; slot < count; slot++) {
            if (!chosen[(int64_t)i * count + slot]) continue;
            view.into_view[slot] = link_cameras(&keyframes[slot].camera, cameras + i);
            view.from_view[slot] = link_cameras(cameras + i, &keyframes[slot].camera);
            project(&view, slot, cameras + i);
        }
        spread(&view);
        find(&view);
        for (int32_t slot = 0; slot < count; slot++)
            if (chosen[(int64_t)i * count + slot]) doubt_behind(&view, slot, cameras + i);
        close_gaps(&view);
        paint(&view, cameras + i, frames + 3 * size * i, visibility + size * i, depth + size * i);
    }
    release(&view);
    return !ready;
}
