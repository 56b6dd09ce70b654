/* From the pixels of one camera to those of another. */

#include "kernel.h"

Link link_cameras(const Camera *from, const Camera *to) {
    Link link;
    const double offset[3] = {
        from->centre[0] - to->centre[0], from->centre[1] - to->centre[1], from->centre[2] - to->centre[2]};
    double turn[3][3], shift[3];
    for (int i = 0; i < 3; i++) {
        shift[i] = 0.0;
        for (int k = 0; k < 3; k++) shift[i] += to->rotation[3 * k + i] * offset[k];
        for (int j = 0; j < 3; j++) {
            turn[i][j] = 0.0;
            for (int k = 0; k < 3; k++) turn[i][j] += to->rotation[3 * k + i] * from->rotation[3 * k + j];
        }
    }
    for (int i = 0; i < 3; i++) { /* columns: from pixels to rays */
        turn[i][2] -= turn[i][0] * from->cx / from->fx + turn[i][1] * from->cy / from->fy;
        turn[i][0] /= from->fx;
        turn[i][1] /= from->fy;
    }
    const double focal[3] = {to->fx, to->fy, 1.0}, middle[3] = {to->cx, to->cy, 0.0};
    for (int i = 0; i < 3; i++) { /* rows: from rays to pixels */
        for (int j = 0; j < 3; j++) link.turn[3 * i + j] = (float)(focal[i] * turn[i][j] + middle[i] * turn[2][j]);
        link.shift[i] = (float)(focal[i] * shift[i] + middle[i] * shift[2]);
    }
    return link;
}

double distance(const Camera *one, const Camera *other) {
    double square = 0.0;
    for (int k = 0; k < 3; k++) square += (one->centre[k] - other->centre[k]) * (one->centre[k] - other->centre[k]);
    return sqrt(square);
}
