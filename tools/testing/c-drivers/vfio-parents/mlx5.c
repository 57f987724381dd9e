// SPDX-License-Identifier: GPL-2.0
/*
 * The core of ConnectX cards, of which there are none: who asks for the parent of a function is
 * told that it has none, and calls nothing else.
 */
#include <linux/err.h>
#include <linux/export.h>

#include <linux/mlx5/cq.h>
#include <linux/mlx5/driver.h>
#include <linux/mlx5/vport.h>

struct mlx5_core_dev *mlx5_vf_get_core_dev(struct pci_dev *pdev)
{
	return NULL;
}
EXPORT_SYMBOL_GPL(mlx5_vf_get_core_dev);

void mlx5_vf_put_core_dev(struct mlx5_core_dev *mdev)
{
}
EXPORT_SYMBOL_GPL(mlx5_vf_put_core_dev);

int mlx5_sriov_blocking_notifier_register(struct mlx5_core_dev *mdev, int vf_id,
					  struct notifier_block *nb)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_sriov_blocking_notifier_register);

void mlx5_sriov_blocking_notifier_unregister(struct mlx5_core_dev *mdev, int vf_id,
					     struct notifier_block *nb)
{
}
EXPORT_SYMBOL_GPL(mlx5_sriov_blocking_notifier_unregister);

int mlx5_vport_get_other_func_cap(struct mlx5_core_dev *dev, u16 vport, void *out, u16 opmod)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_vport_get_other_func_cap);

void mlx5_cmd_init_async_ctx(struct mlx5_core_dev *dev, struct mlx5_async_ctx *ctx)
{
}
EXPORT_SYMBOL_GPL(mlx5_cmd_init_async_ctx);

void mlx5_cmd_cleanup_async_ctx(struct mlx5_async_ctx *ctx)
{
}
EXPORT_SYMBOL_GPL(mlx5_cmd_cleanup_async_ctx);

int mlx5_cmd_exec_cb(struct mlx5_async_ctx *ctx, void *in, int in_size, void *out, int out_size,
		     mlx5_async_cbk_t callback, struct mlx5_async_work *work)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_cmd_exec_cb);

void mlx5_cmd_out_err(struct mlx5_core_dev *dev, u16 opcode, u16 op_mod, void *out)
{
}
EXPORT_SYMBOL_GPL(mlx5_cmd_out_err);

int mlx5_cmd_exec(struct mlx5_core_dev *dev, void *in, int in_size, void *out, int out_size)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_cmd_exec);

int mlx5_comp_eqn_get(struct mlx5_core_dev *dev, u16 vecidx, int *eqn)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_comp_eqn_get);

unsigned int mlx5_comp_vectors_max(struct mlx5_core_dev *dev)
{
	return 0;
}
EXPORT_SYMBOL_GPL(mlx5_comp_vectors_max);

int mlx5_core_alloc_pd(struct mlx5_core_dev *dev, u32 *pdn)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_core_alloc_pd);

int mlx5_core_dealloc_pd(struct mlx5_core_dev *dev, u32 pdn)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_core_dealloc_pd);

int mlx5_core_create_cq(struct mlx5_core_dev *dev, struct mlx5_core_cq *cq, u32 *in, int inlen,
			u32 *out, int outlen)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_core_create_cq);

int mlx5_core_destroy_cq(struct mlx5_core_dev *dev, struct mlx5_core_cq *cq)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_core_destroy_cq);

int mlx5_core_create_mkey(struct mlx5_core_dev *dev, u32 *mkey, u32 *in, int inlen)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_core_create_mkey);

int mlx5_core_destroy_mkey(struct mlx5_core_dev *dev, u32 mkey)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_core_destroy_mkey);

int mlx5_db_alloc_node(struct mlx5_core_dev *dev, struct mlx5_db *db, int node)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_db_alloc_node);

void mlx5_db_free(struct mlx5_core_dev *dev, struct mlx5_db *db)
{
}
EXPORT_SYMBOL_GPL(mlx5_db_free);

int mlx5_frag_buf_alloc_node(struct mlx5_core_dev *dev, int size, struct mlx5_frag_buf *buf,
			     int node)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_frag_buf_alloc_node);

void mlx5_frag_buf_free(struct mlx5_core_dev *dev, struct mlx5_frag_buf *buf)
{
}
EXPORT_SYMBOL_GPL(mlx5_frag_buf_free);

void mlx5_fill_page_frag_array(struct mlx5_frag_buf *buf, __be64 *pas)
{
}
EXPORT_SYMBOL_GPL(mlx5_fill_page_frag_array);

int mlx5_eq_notifier_register(struct mlx5_core_dev *dev, struct mlx5_nb *nb)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_eq_notifier_register);

int mlx5_eq_notifier_unregister(struct mlx5_core_dev *dev, struct mlx5_nb *nb)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(mlx5_eq_notifier_unregister);

struct mlx5_uars_page *mlx5_get_uars_page(struct mlx5_core_dev *mdev)
{
	return ERR_PTR(-EOPNOTSUPP);
}
EXPORT_SYMBOL_GPL(mlx5_get_uars_page);

void mlx5_put_uars_page(struct mlx5_core_dev *mdev, struct mlx5_uars_page *up)
{
}
EXPORT_SYMBOL_GPL(mlx5_put_uars_page);

bool mlx5_is_roce_on(struct mlx5_core_dev *dev)
{
	return false;
}
EXPORT_SYMBOL_GPL(mlx5_is_roce_on);
